package credcache

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"cosproxy/signer"
)

// credentialsResponse has the fields of all known JSON forms of credentials.
// encoding/json ignores case, so TmpSecretId and tmpSecretId are the same field.
//
//	{"credentials":{"tmpSecretId","tmpSecretKey","sessionToken"},"expiredTime"}   STS SDKs
//	{"TmpSecretId","TmpSecretKey","Token","ExpiredTime","Expiration"}              metadata service
//	{"TmpSecretId","TmpSecretKey","SecurityToken","ExpiredTime"}                   COS SDKs
//	{"secretId","secretKey","token","expiresAt"}                                   tccli
type credentialsResponse struct {
	secretFields
	Credentials secretFields
	ExpiredTime int64 // Unix seconds, as ExpiresAt
	ExpiresAt   int64
	Expiration  string // RFC 3339
}

type secretFields struct {
	TmpSecretID   string
	TmpSecretKey  string
	SessionToken  string
	SecretID      string
	SecretKey     string
	Token         string
	SecurityToken string
}

// parseCredentials reads JSON in one of the forms of credentialsResponse. Its error does
// not quote data.
func parseCredentials(data []byte) (signer.Credentials, error) {
	var r credentialsResponse
	if json.Unmarshal(data, &r) != nil {
		return signer.Credentials{}, ErrInvalidResponse
	}
	return r.credentials(), nil
}

func (r credentialsResponse) credentials() signer.Credentials {
	fields := r.secretFields
	if r.Credentials != (secretFields{}) {
		fields = r.Credentials
	}
	creds := signer.Credentials{
		SecretID:  cmp.Or(fields.TmpSecretID, fields.SecretID),
		SecretKey: cmp.Or(fields.TmpSecretKey, fields.SecretKey),
		Token:     cmp.Or(fields.SessionToken, fields.Token, fields.SecurityToken),
	}
	if at, err := time.Parse(time.RFC3339, r.Expiration); err == nil {
		creds.Expires = at.Local()
	}
	for _, seconds := range []int64{r.ExpiresAt, r.ExpiredTime} {
		if seconds > 0 {
			creds.Expires = time.Unix(seconds, 0)
		}
	}
	return creds
}

// validateCredentials returns the problem that makes creds unusable, "" if they are
// valid. issued is for sources that issue temporary credentials: token and expiry are
// then required. Otherwise both are optional, but credentials with an expiry need a token.
func validateCredentials(creds signer.Credentials, issued bool) (problem string) {
	var missing []string
	require := func(present bool, name string) {
		if !present {
			missing = append(missing, name)
		}
	}
	require(creds.SecretID != "", "SecretId")
	require(creds.SecretKey != "", "SecretKey")
	require(creds.Token != "" || (!issued && creds.Expires.IsZero()), "session token")
	require(!creds.Expires.IsZero() || !issued, "expiry")
	now := time.Now()
	switch {
	case missing != nil:
		return "lacks the " + strings.Join(missing, ", ")
	case strings.ContainsFunc(creds.SecretID+creds.SecretKey+creds.Token, unprintable):
		return "has a blank, a line break or a control character in the credentials"
	case creds.Expired(now):
		return fmt.Sprintf("holds credentials that expired at %s; this machine's clock says %s",
			creds.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return ""
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// validated returns creds, or a *SourceError with their problem.
func (c *call) validated(creds signer.Credentials, requestID string) (signer.Credentials, error) {
	problem, hint := validateCredentials(creds, true), c.hint
	if problem == "" {
		return creds, nil
	}
	if creds.Expired(time.Now()) {
		hint = "check this machine's clock, then the issuer's"
	}
	return signer.Credentials{}, c.error(&SourceError{
		Message: "the response from " + c.host + " " + problem, RequestID: requestID, Hint: hint, Retryable: true, Err: ErrInvalidResponse,
	})
}
