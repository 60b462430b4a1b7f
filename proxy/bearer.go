package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// A Token gives the secret that every request has to bring, on Unix sockets too.
// It is called for each of them, so that the secret can be replaced. While it
// fails, or gives nothing, nobody is let in. Its error must not hold the secret.
type Token func() (string, error)

// checkToken wants the token, as Authorization: Bearer, or in Proxy-Authorization
// from those who use the proxy as http_proxy. Neither goes on to COS.
func (g guard) checkToken(r *http.Request) error {
	if g.token == nil || g.isPreflight(r) {
		return nil
	}
	want, err := g.token()
	if err != nil || want == "" {
		return &Error{
			Status:     http.StatusServiceUnavailable,
			Code:       "ServiceUnavailable",
			Message:    "cosproxy cannot read the token that requests have to bring, so it lets nobody in; its log says why. Check the file in COSPROXY_TOKEN_FILE.",
			RetryAfter: time.Second,
			Err:        err,
		}
	}
	digest := sha256.Sum256([]byte(want))
	for _, got := range offeredTokens(r.Header) {
		// Digests are of one length, so that the time tells nothing of the token's.
		offered := sha256.Sum256([]byte(got))
		if subtle.ConstantTimeCompare(offered[:], digest[:]) == 1 {
			return nil
		}
	}
	status := http.StatusUnauthorized
	if r.URL.IsAbs() { // many programs show a proxy's password only to who asks for it
		status = http.StatusProxyAuthRequired
	}
	return errorf(status, "AccessDenied",
		"The token is missing or wrong. Send what COSPROXY_TOKEN_FILE holds, as Authorization: Bearer or Proxy-Authorization: Bearer.")
}

// isPreflight reports whether a browser asks if a page of a listed site may ask.
// It brings no token to that (Fetch standard, "CORS-preflight fetch"), and COS
// answers with nothing but the CORS rules of the bucket.
func (g guard) isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" &&
		len(r.Header["Origin"]) == 1 && g.origins[originOf(r)]
}

// offeredTokens are the tokens that a request brings. Most clients of an
// http_proxy know Basic alone, with what stands before @ in its URL; the password
// is the token then.
func offeredTokens(h http.Header) []string {
	var all []string
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, value := range h[name] {
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
