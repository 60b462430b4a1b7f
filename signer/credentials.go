package signer

import (
	"fmt"
	"log/slog"
	"time"
)

// Credentials are a long-lived key pair, or the temporary triple that STS issues. Credentials is
// a value, so its fields always belong together: a request is never signed with the SecretID
// of one triple and the token of another.
//
// Printing Credentials, through fmt, slog or an encoder, shows only SecretID and expiry.
type Credentials struct {
	// SecretID identifies the credentials (TmpSecretId in STS responses). Required.
	SecretID string
	// SecretKey is the secret of the signature. Required.
	SecretKey string
	// Token is the session token, which temporary credentials need. It is sent as the header
	// x-cos-security-token, or x-amz-security-token in the dialect of S3. Empty: a long-lived key
	// pair.
	Token string
	// Expires is the time from which COS rejects the credentials. Zero: no expiry.
	Expires time.Time
}

// Expired reports whether the credentials have expired at now.
func (c Credentials) Expired(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

// String returns SecretID and expiry, but neither SecretKey nor token.
func (c Credentials) String() string {
	if c.Expires.IsZero() {
		return fmt.Sprintf("credentials %s (no expiry)", c.SecretID)
	}
	return fmt.Sprintf("credentials %s (expires %s)", c.SecretID, c.Expires.UTC().Format(time.RFC3339))
}

// Format makes every fmt verb print String, including %#v and %+v.
func (c Credentials) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(c.String()))
}

// MarshalText makes encoders write String, for example that of JSON logs.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue makes slog print SecretID and expiry as attributes.
func (c Credentials) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("secret_id", c.SecretID),
		slog.Time("expires", c.Expires),
	)
}
