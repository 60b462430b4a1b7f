package credcache

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"cosproxy/signer"
)

// keyAnswer is a key in the JSON shapes that there are. encoding/json takes
// names in any case, so TmpSecretId and tmpSecretId are one.
//
//	{"credentials":{"tmpSecretId","tmpSecretKey","sessionToken"},"expiredTime"}   STS SDKs
//	{"TmpSecretId","TmpSecretKey","Token","ExpiredTime","Expiration"}              metadata service
//	{"TmpSecretId","TmpSecretKey","SecurityToken","ExpiredTime"}                   COS SDKs
//	{"secretId","secretKey","token","expiresAt"}                                   tccli
type keyAnswer struct {
	keyFields
	Credentials keyFields
	ExpiredTime int64 // Unix seconds, as ExpiresAt
	ExpiresAt   int64
	Expiration  string // RFC 3339
}

type keyFields struct {
	TmpSecretID   string
	TmpSecretKey  string
	SessionToken  string
	SecretID      string
	SecretKey     string
	Token         string
	SecurityToken string
}

// parseKey reads data into a keyAnswer. Its error quotes nothing.
func parseKey(data []byte) (signer.Credentials, error) {
	var a keyAnswer
	if json.Unmarshal(data, &a) != nil {
		return signer.Credentials{}, ErrBadAnswer
	}
	return a.credentials(), nil
}

func (a keyAnswer) credentials() signer.Credentials {
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	k := a.keyFields
	if a.Credentials != (keyFields{}) {
		k = a.Credentials
	}
	creds := signer.Credentials{
		SecretID:  first(k.TmpSecretID, k.SecretID),
		SecretKey: first(k.TmpSecretKey, k.SecretKey),
		Token:     first(k.SessionToken, k.Token, k.SecurityToken),
	}
	if at, err := time.Parse(time.RFC3339, a.Expiration); err == nil {
		creds.Expires = at.Local()
	}
	for _, seconds := range []int64{a.ExpiresAt, a.ExpiredTime} {
		if seconds > 0 {
			creds.Expires = time.Unix(seconds, 0)
		}
	}
	return creds
}

// lacks says what keeps creds from being used, "" if nothing does. A source
// that issues keys has to give a token and an expiry; elsewhere both may be
// missing, but not the token alone from a key that expires.
func lacks(creds signer.Credentials, issued bool) string {
	var missing []string
	note := func(missed bool, what string) {
		if missed {
			missing = append(missing, what)
		}
	}
	note(creds.SecretID == "", "SecretId")
	note(creds.SecretKey == "", "SecretKey")
	note(creds.Token == "" && (issued || !creds.Expires.IsZero()), "session token")
	note(creds.Expires.IsZero() && issued, "expiry")
	now := time.Now()
	switch {
	case missing != nil:
		return "lacks the " + strings.Join(missing, ", ")
	case strings.ContainsFunc(creds.SecretID+creds.SecretKey+creds.Token, unprintable):
		return "has a blank, a line break or a control character in the key"
	case creds.Expired(now):
		return fmt.Sprintf("holds a key that expired at %s, and this machine's clock says %s",
			creds.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return ""
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// checked returns creds, or what is wrong with them as an answer.
func (c *call) checked(creds signer.Credentials, requestID string) (signer.Credentials, error) {
	problem, hint := lacks(creds, true), c.check
	if problem == "" {
		return creds, nil
	}
	if creds.Expired(time.Now()) {
		hint = "check this machine's clock, then the issuer's"
	}
	return signer.Credentials{}, c.error(&SourceError{
		Message: "the answer of " + c.host + " " + problem, RequestID: requestID, Hint: hint, Retryable: true, Err: ErrBadAnswer,
	})
}
