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

// A Token returns the client token that every request must carry, on Unix sockets too. It
// is called for each request, so that the token can change. While it returns an error or
// an empty token, all requests are rejected. Its error must not contain the token.
type Token func() (string, error)

// checkToken requires the client token, in Authorization: Bearer, as the access key ID of an
// AWS signature, or in Proxy-Authorization from clients that use cosproxy as an HTTP proxy.
// Neither field is sent to COS.
func (g *Guard) checkToken(r *Request) error {
	if g.token == nil || g.isPreflight(r) {
		return nil
	}
	want, err := g.token()
	if err != nil || want == "" {
		e := coserr.New(http.StatusServiceUnavailable, "ServiceUnavailable",
			"cosproxy cannot read its client token and rejects all requests. See its log for the cause.").
			Try("Correct", coserr.Setting{Name: "ClientToken"})
		e.RetryAfter, e.Err = time.Second, err
		return e
	}
	digest := sha256.Sum256([]byte(want))
	for _, got := range offeredTokens(r.Fields) {
		// Digests have one length, so the time does not reveal the length of the token.
		offered := sha256.Sum256([]byte(got))
		if subtle.ConstantTimeCompare(offered[:], digest[:]) == 1 {
			return nil
		}
	}
	status := http.StatusUnauthorized
	if r.Scheme != "" { // many clients send the password of a proxy only after a 407
		status = http.StatusProxyAuthRequired
	}
	return coserr.New(status, "AccessDenied",
		"The client token is missing or wrong. Send it as Authorization: Bearer, as Proxy-Authorization: Bearer, or in an S3 client as the access key ID.").
		Try("cosproxy reads it from", coserr.Setting{Name: "ClientToken"})
}

// isPreflight reports whether a request is the CORS preflight of an allowed origin. A
// browser sends no token with it (Fetch standard, "CORS-preflight fetch"), and the response
// of COS only has the CORS rules of the bucket.
func (g *Guard) isPreflight(r *Request) bool {
	return r.Method == http.MethodOptions && first(r.Fields.Values("Access-Control-Request-Method")) != "" &&
		len(r.Fields.Values("Origin")) == 1 && g.origins[originOf(r)]
}

// offeredTokens returns the tokens in a request. Most clients of an HTTP proxy support
// only Basic, with user and password from the URL of the proxy; the password is the token.
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
			case name == "Authorization":
				if id, ok := accessKeyID(scheme, rest); ok {
					all = append(all, id)
				}
			}
		}
	}
	return all
}

// accessKeyID returns the access key ID of an AWS signature of Version 4 or 2, which S3
// clients send instead of a token. The ID may contain slashes and colons.
func accessKeyID(scheme, parameters string) (id string, ok bool) {
	switch {
	case strings.EqualFold(scheme, "AWS"):
		end := strings.LastIndexByte(parameters, ':')
		return parameters[:max(end, 0)], end > 0
	case !strings.EqualFold(scheme, "AWS4-HMAC-SHA256"):
		return "", false
	}
	for parameter := range strings.SplitSeq(parameters, ",") {
		credential, found := strings.CutPrefix(strings.TrimSpace(parameter), "Credential=")
		if !found {
			continue
		}
		for range 4 { // date, region, service and aws4_request
			credential = credential[:max(strings.LastIndexByte(credential, '/'), 0)]
		}
		return credential, credential != ""
	}
	return "", false
}
