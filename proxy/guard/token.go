package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"cosproxy/proxy/internal/coserr"
)

// A Token returns the secret that every request must have, on Unix sockets too.
// It is called for each request, so that the secret can be replaced. While it
// fails, or returns an empty secret, all requests are rejected. Its error must not hold the secret.
type Token func() (string, error)

// checkToken requires the token, as Authorization: Bearer, or in Proxy-Authorization
// from clients that use the proxy as http_proxy. Neither is sent to COS.
func (g *Guard) checkToken(r *Request) error {
	if g.token == nil || g.isPreflight(r) {
		return nil
	}
	want, err := g.token()
	if err != nil || want == "" {
		e := coserr.New(http.StatusServiceUnavailable, "ServiceUnavailable",
			"cosproxy cannot read its client token and rejects all requests; its log says why.").
			Try("Check", coserr.Setting{Name: "ClientToken"})
		e.RetryAfter, e.Err = time.Second, err
		return e
	}
	digest := sha256.Sum256([]byte(want))
	for _, got := range offeredTokens(r.Fields) {
		// Digests are of one length, so that the time tells nothing of the token's.
		offered := sha256.Sum256([]byte(got))
		if subtle.ConstantTimeCompare(offered[:], digest[:]) == 1 {
			return nil
		}
	}
	status := http.StatusUnauthorized
	if r.Scheme != "" { // many programs show a proxy's password only when asked for it
		status = http.StatusProxyAuthRequired
	}
	return coserr.New(status, "AccessDenied",
		"The client token is missing or wrong. Send it as Authorization: Bearer or Proxy-Authorization: Bearer.").
		Try("It is the content of", coserr.Setting{Name: "ClientToken"})
}

// isPreflight reports whether a request is the CORS preflight of an allowed site.
// A browser sends no token with one (Fetch standard, "CORS-preflight fetch"), and COS
// returns nothing but the CORS rules of the bucket.
func (g *Guard) isPreflight(r *Request) bool {
	return r.Method == http.MethodOptions && first(r.Fields.Values("Access-Control-Request-Method")) != "" &&
		len(r.Fields.Values("Origin")) == 1 && g.origins[originOf(r)]
}

// offeredTokens returns the tokens in a request. Most clients of an http_proxy know
// only Basic, with user and password from its URL; the password is the token then.
func offeredTokens(fields Fields) []string {
	var all []string
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, value := range fields.Values(name) {
			scheme, rest, _ := strings.Cut(value, " ")
			rest = strings.TrimSpace(rest)
			switch {
			case strings.EqualFold(scheme, "Bearer"):
				all = append(all, rest)
			case strings.EqualFold(scheme, "Basic") && name == "Proxy-Authorization":
				pair, _ := base64.StdEncoding.DecodeString(rest)
				_, password, _ := strings.Cut(string(pair), ":")
				all = append(all, password)
			}
		}
	}
	return all
}
