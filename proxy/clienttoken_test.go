package proxy_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
	"cosproxy/proxy/guard"
)

const token = "token-of-clients-NEVER-SHOWN"

// withToken is a rig that requires the token and allows https://app.example.
func withToken(t *testing.T, give guard.Token) *rig {
	t.Helper()
	return start(t, setup{options: func(o *proxy.Options) {
		o.ClientToken, o.AllowedOrigins = give, []string{"https://app.example"}
	}})
}

func given() (string, error) { return token, nil }

// v4With is an AWS signature with this access key ID.
func v4With(id string) string { return strings.Replace(dummySignature, "dummy", id, 1) }

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
}

func TestClientToken(t *testing.T) {
	const listed = "Origin: https://app.example\r\n"
	tests := []struct {
		name, method, headers string
		passes                bool
	}{
		{"none", "GET", "", false},
		{"bearer", "GET", "Authorization: Bearer " + token + "\r\n", true},
		{"scheme in lower case", "GET", "Authorization: bearer  " + token + "\r\n", true},
		{"as a proxy", "GET", "Proxy-Authorization: Bearer " + token + "\r\n", true},
		{"as a proxy, with a signature", "GET", "Authorization: q-sign-algorithm=sha1&q-ak=dummy\r\nProxy-Authorization: Bearer " + token + "\r\n", true},
		{"as the password of a proxy", "GET", "Proxy-Authorization: " + basic("any", token), true},
		{"wrong", "GET", "Authorization: Bearer x" + token[1:] + "\r\n", false},
		{"cut", "GET", "Authorization: Bearer " + token[:len(token)-1] + "\r\n", false},
		{"longer", "GET", "Authorization: Bearer " + token + "x\r\n", false},
		{"empty", "GET", "Authorization: Bearer \r\n", false},
		{"without a scheme", "GET", "Authorization: " + token + "\r\n", false},
		{"another scheme", "GET", "Authorization: Token " + token + "\r\n", false},
		{"as the user of a proxy", "GET", "Proxy-Authorization: " + basic(token, "any"), false},
		{"as a password", "GET", "Authorization: " + basic("any", token), false},
		{"not base64", "GET", "Proxy-Authorization: Basic " + token + "\r\n", false},
		{"in another header", "GET", "X-Token: " + token + "\r\nCookie: " + token + "\r\n", false},
		{"as an access key ID", "GET", v4With(token), true},
		{"as an access key ID of Version 2", "GET", "Authorization: AWS " + token + ":c2lnbmF0dXJl=\r\n", true},
		{"as an access key ID, wrong", "GET", v4With("x" + token[1:]), false},
		{"as an access key ID, cut", "GET", v4With(token[1:]), false},
		{"as an access key ID, longer", "GET", v4With(token + "/"), false},
		{"as an access key ID of a proxy", "GET", "Proxy-" + v4With(token), false},
		{"an access key ID without a scope", "GET", "Authorization: AWS4-HMAC-SHA256 Credential=" + token + "\r\n", false},
		{"an access key ID with half a scope", "GET", "Authorization: AWS4-HMAC-SHA256 Credential=" + token + "/20261129/s3\r\n", false},
		{"an access key ID of Version 2 without a signature", "GET", "Authorization: AWS " + token + "\r\n", false},
		{"in the signature", "GET", strings.Replace(v4With("dummy"), "Signature=00", "Signature="+token, 1), false},
		{"a dummy key", "GET", dummySignature, false},
		{"a dummy key and a bearer", "GET", dummySignature + "Authorization: Bearer " + token + "\r\n", true},
		{"a dummy key, as a proxy", "GET", dummySignature + "Proxy-Authorization: Bearer " + token + "\r\n", true},
		{"a signature", "GET", "Authorization: q-sign-algorithm=sha1&q-ak=dummy\r\n", false},
		{"preflight of a listed site", "OPTIONS", listed + "Access-Control-Request-Method: PUT\r\n", true},
		{"OPTIONS of a listed site", "OPTIONS", listed, false},
		{"preflight of its own site", "OPTIONS", "Origin: http://localhost\r\nAccess-Control-Request-Method: PUT\r\n", false},
		{"preflight without a site", "OPTIONS", "Access-Control-Request-Method: PUT\r\n", false},
		{"preflight without a site but with a Referer", "OPTIONS", "Referer: https://app.example/\r\nAccess-Control-Request-Method: PUT\r\n", false},
		{"GET of a listed site", "GET", listed + "Access-Control-Request-Method: PUT\r\n", false},
	}
	for target, challenge := range map[string]struct {
		status      int
		name, value string
	}{
		"/" + bucket + "/key":                 {http.StatusUnauthorized, "WWW-Authenticate", `Bearer realm="cosproxy"`},
		"http://localhost/" + bucket + "/key": {http.StatusProxyAuthRequired, "Proxy-Authenticate", `Basic realm="cosproxy"`},
	} {
		for _, tt := range tests {
			t.Run(tt.name+", "+target, func(t *testing.T) {
				r := withToken(t, given)
				rep := r.exchange(t, tt.method+" "+target+" HTTP/1.1\r\n"+tt.headers+"\r\n")
				if !tt.passes {
					doc := r.refused(t, rep, challenge.status, "AccessDenied")
					if !strings.Contains(doc.Message, "ClientToken") || rep.header.Get(challenge.name) != challenge.value {
						t.Errorf("it does not say what to send:\n%s%s", rep.head, rep.body)
					}
				} else if rep.status != http.StatusOK {
					t.Errorf("status %d\n%s", rep.status, rep.body)
				}
				for _, a := range r.upstream.seen() {
					if strings.Contains(a.head, token) || strings.Contains(a.head, "Proxy-") {
						t.Errorf("the token went on to COS:\n%s", a.head)
					}
				}
				if text := rep.head + rep.body + r.drained(t); strings.Contains(text, token) {
					t.Errorf("the token is shown:\n%s", text)
				}
			})
		}
	}
}

// An unreadable token rejects all requests, with any token.
func TestClientToken_Unreadable(t *testing.T) {
	for name, give := range map[string]guard.Token{
		"fails":                 func() (string, error) { return "", errors.New("disk gone") },
		"fails with a value":    func() (string, error) { return token, errors.New("disk gone") },
		"gives nothing, at all": func() (string, error) { return "", nil },
	} {
		for _, headers := range []string{"", "Authorization: Bearer \r\n", "Authorization: Bearer " + token + "\r\n", "Proxy-Authorization: " + basic("", "")} {
			t.Run(name+", "+headers, func(t *testing.T) {
				r := withToken(t, give)
				doc := r.refused(t, r.exchange(t, "GET /key HTTP/1.1\r\n"+headers+"\r\n"), http.StatusServiceUnavailable, "ServiceUnavailable")
				if !strings.Contains(doc.Message, "ClientToken") || strings.Contains(doc.Message, "disk gone") {
					t.Errorf("message: %s", doc.Message)
				}
				if log := r.drained(t); !strings.Contains(log, "level=ERROR") {
					t.Errorf("log: %s", log)
				}
			})
		}
	}
}

func TestClientToken_Replaced(t *testing.T) {
	now := "first"
	r := withToken(t, func() (string, error) { return now, nil })
	ask := func(token string) int {
		return r.exchange(t, "GET /key HTTP/1.1\r\nAuthorization: Bearer "+token+"\r\n\r\n").status
	}
	if got := ask("first"); got != http.StatusOK {
		t.Errorf("first: %d", got)
	}
	now = "second"
	if got := ask("first"); got != http.StatusUnauthorized {
		t.Errorf("first, replaced: %d", got)
	}
	if got := ask("second"); got != http.StatusOK {
		t.Errorf("second: %d", got)
	}
}
