package credcache

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
)

// issuerForm matches the issuer of a TKE cluster, of which Tencent's Terraform provider
// (kubernetes_auth_attachment) has examples. That its id is the provider's name in CAM rests on
// public code; Tencent does not document it.
var issuerForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^https://([a-z0-9]+(?:-[a-z0-9]+)*)-oidc\.tke\.tencentcs\.com/id/([A-Za-z0-9_.-]{1,128})$`)
})

// issuer is what the issuer of a token says about its cluster.
type issuer struct{ region, providerID string }

// tkeIssuer returns the issuer of a token, a JWT. It does not verify the token: both values
// are only parameters of the call in which STS verifies it.
func tkeIssuer(token string) (i issuer, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return issuer{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return issuer{}, false
	}
	var claims struct{ Iss string }
	if json.Unmarshal(payload, &claims) != nil {
		return issuer{}, false
	}
	match := issuerForm().FindStringSubmatch(claims.Iss)
	if match == nil {
		return issuer{}, false
	}
	return issuer{region: match[1], providerID: match[2]}, true
}

// unknownIssuer is the error for a token without a TKE issuer. It does not quote the token. It
// is retryable, because the file can be corrected at any time.
func unknownIssuer(source string) error {
	return &SourceError{
		Source: source, Code: "UnknownIssuer", Message: "the web identity token has no TKE cluster as its issuer, so the identity provider is unknown",
		Hint: "set TKE_PROVIDER_ID and TKE_REGION", Retryable: true,
	}
}

// hintProvider adds to a permanent error that the provider may be another than the issuer's.
func hintProvider(err error) error {
	var failed *SourceError
	if !errors.As(err, &failed) || failed.Retryable {
		return err
	}
	hint := "the identity provider was read from the token; set TKE_PROVIDER_ID if its name in CAM is another"
	if failed.Hint != "" {
		hint = failed.Hint + "; " + hint
	}
	failed.Hint = hint // the error is new, so no other goroutine has it
	return err
}
