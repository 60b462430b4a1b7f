package signer

import (
	"fmt"
	"log/slog"
	"time"
)

// Credentials is one COS key: a long-lived pair, or the temporary triple that
// STS issues. It is a value: whoever holds one holds fields that belong
// together, so a request is never signed with the id of one key and the token
// of another.
//
// Printing a Credentials, through fmt, slog or an encoder, shows its SecretID,
// its expiry and nothing else.
type Credentials struct {
	// SecretID names the key (TmpSecretId in STS answers). Required.
	SecretID string
	// SecretKey signs. Required.
	SecretKey string
	// Token is the session token that COS wants beside a temporary key, in the
	// x-cos-security-token header. Empty for a long-lived key.
	Token string
	// Expires is the instant from which COS refuses the key. The zero time
	// means that the key does not expire.
	Expires time.Time
}

// Expired reports whether the key is no longer valid at now.
func (c Credentials) Expired(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

// String returns the SecretID and the expiry; never the key or the token.
func (c Credentials) String() string {
	if c.Expires.IsZero() {
		return fmt.Sprintf("credentials %s (no expiry)", c.SecretID)
	}
	return fmt.Sprintf("credentials %s (expires %s)", c.SecretID, c.Expires.UTC().Format(time.RFC3339))
}

// Format makes every fmt verb, %#v and %+v included, print String.
func (c Credentials) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(c.String()))
}

// MarshalText makes encoders, such as that of JSON logs, write String.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue makes slog show what String shows, as attributes.
func (c Credentials) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("secret_id", c.SecretID),
		slog.Time("expires", c.Expires),
	)
}
