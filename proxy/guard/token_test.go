package guard

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy/internal/coserr"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestCheck_Token(t *testing.T) {
	type fields = http.Header
	const signature = "q-sign-algorithm=sha1&q-ak=dummy"
	const v4, scope = "AWS4-HMAC-SHA256 Credential=", "/20261129/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
	requestMethod := []string{"PUT"}
	tests := []struct {
		name, method string
		fields       fields
		passes       bool
	}{
		{"none", "GET", fields{}, false},
		{"Bearer", "GET", fields{"Authorization": {"Bearer " + token}}, true},
		{"scheme in lower case", "GET", fields{"Authorization": {"bearer  " + token}}, true},
		{"proxy", "GET", fields{"Proxy-Authorization": {"Bearer " + token}}, true},
		{"proxy, with a signature", "GET", fields{"Authorization": {signature}, "Proxy-Authorization": {"Bearer " + token}}, true},
		{"second field", "GET", fields{"Authorization": {signature, "Bearer " + token}}, true},
		{"proxy password", "GET", fields{"Proxy-Authorization": {basic("any", token)}}, true},
		{"wrong", "GET", fields{"Authorization": {"Bearer x" + token[1:]}}, false},
		{"cut", "GET", fields{"Authorization": {"Bearer " + token[:len(token)-1]}}, false},
		{"longer", "GET", fields{"Authorization": {"Bearer " + token + "x"}}, false},
		{"empty", "GET", fields{"Authorization": {"Bearer "}}, false},
		{"no scheme", "GET", fields{"Authorization": {token}}, false},
		{"another scheme", "GET", fields{"Authorization": {"Token " + token}}, false},
		{"proxy user", "GET", fields{"Proxy-Authorization": {basic(token, "any")}}, false},
		{"password", "GET", fields{"Authorization": {basic("any", token)}}, false},
		{"not base64", "GET", fields{"Proxy-Authorization": {"Basic " + token}}, false},
		{"another field", "GET", fields{"X-Token": {token}, "Cookie": {token}}, false},
		{"signature", "GET", fields{"Authorization": {signature}}, false},
		{"V4", "GET", fields{"Authorization": {v4 + token + scope}}, true},
		{"V4 in lower case", "GET", fields{"Authorization": {"aws4-hmac-sha256  Credential=" + token + scope}}, true},
		{"V4, credential last", "GET", fields{"Authorization": {"AWS4-HMAC-SHA256 Signature=00, SignedHeaders=host,Credential=" + token + "/1/2/3/4"}}, true},
		{"V4, scope with other names", "GET", fields{"Authorization": {v4 + token + "/////, Signature=00"}}, false},
		{"V4, two credentials", "GET", fields{"Authorization": {v4 + "dummy" + scope + ", Credential=" + token + scope}}, false},
		{"V4, short scope", "GET", fields{"Authorization": {v4 + token + "/20261129/s3"}}, false},
		{"V4, no scope", "GET", fields{"Authorization": {v4 + token}}, false},
		{"V4, no parameters", "GET", fields{"Authorization": {"AWS4-HMAC-SHA256"}}, false},
		{"V4, no credential", "GET", fields{"Authorization": {"AWS4-HMAC-SHA256 " + token}}, false},
		{"V4 of a proxy", "GET", fields{"Proxy-Authorization": {v4 + token + scope}}, false},
		{"V4A", "GET", fields{"Authorization": {"AWS4-ECDSA-P256-SHA256 Credential=" + token + scope}}, false},
		{"V2", "GET", fields{"Authorization": {"AWS " + token + ":c2lnbmF0dXJl="}}, true},
		{"V2, no signature", "GET", fields{"Authorization": {"AWS " + token}}, false},
		{"V2, another key", "GET", fields{"Authorization": {"AWS dummy:" + token}}, false},
		{"V2, nothing", "GET", fields{"Authorization": {"AWS :"}}, false},
		{"preflight of a listed site", "OPTIONS", fields{"Origin": {listed}, "Access-Control-Request-Method": requestMethod}, true},
		{"OPTIONS of a listed site", "OPTIONS", fields{"Origin": {listed}}, false},
		{"preflight of its own site", "OPTIONS", fields{"Origin": {"http://localhost"}, "Access-Control-Request-Method": requestMethod}, false},
		{"preflight without a site", "OPTIONS", fields{"Access-Control-Request-Method": requestMethod}, false},
		{"preflight with Referer alone", "OPTIONS", fields{"Referer": {listed + "/"}, "Access-Control-Request-Method": requestMethod}, false},
		{"GET of a listed site", "GET", fields{"Origin": {listed}, "Access-Control-Request-Method": requestMethod}, false},
	}
	g := New(nil, []string{listed}, given)
	for scheme, status := range map[string]int{"": http.StatusUnauthorized, "http": http.StatusProxyAuthRequired} {
		for _, tt := range tests {
			want := status
			if tt.passes {
				want = 0
			}
			err := g.Check(&Request{Method: tt.method, Host: "localhost", Scheme: scheme, Fields: tt.fields})
			if got := statusOf(t, err); got != want {
				t.Errorf("%s, scheme %q: %d, want %d", tt.name, scheme, got, want)
			}
			if err != nil && (strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "ClientToken.")) {
				t.Errorf("%s: message %v", tt.name, err)
			}
		}
	}
}

// All requests are rejected while the token cannot be read.
func TestCheck_TokenUnreadable(t *testing.T) {
	gone := errors.New("disk gone")
	for name, give := range map[string]Token{
		"error":           func() (string, error) { return "", gone },
		"error and value": func() (string, error) { return token, gone },
		"empty":           func() (string, error) { return "", nil },
	} {
		g := New(nil, nil, give)
		for _, fields := range []http.Header{
			{}, {"Authorization": {"Bearer "}}, {"Authorization": {"Bearer " + token}}, {"Proxy-Authorization": {basic("", "")}},
		} {
			var refusal *coserr.Error
			err := g.Check(&Request{Method: "GET", Host: "localhost", Fields: fields})
			if !errors.As(err, &refusal) || refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter != time.Second {
				t.Fatalf("%s, %v: %v", name, fields, err)
			}
			if text := refusal.Text(nil); strings.Contains(text, "disk gone") || !strings.HasSuffix(text, "Correct ClientToken.") {
				t.Errorf("%s: message %q", name, text)
			}
			if name != "empty" && !errors.Is(err, gone) {
				t.Errorf("%s: the cause is lost: %v", name, err)
			}
		}
	}
}

func TestCheck_TokenReplaced(t *testing.T) {
	now := "first"
	g := New(nil, nil, func() (string, error) { return now, nil })
	status := func(token string) int {
		return statusOf(t, g.Check(&Request{Method: "GET", Host: "localhost", Fields: http.Header{"Authorization": {"Bearer " + token}}}))
	}
	if got := status("first"); got != 0 {
		t.Errorf("first: %d", got)
	}
	now = "second"
	if got := status("first"); got != http.StatusUnauthorized {
		t.Errorf("first, replaced: %d", got)
	}
	if got := status("second"); got != 0 {
		t.Errorf("second: %d", got)
	}
}

// The error response says how to send the token and when to retry.
func TestHandler_Challenge(t *testing.T) {
	unreadable := func() (string, error) { return "", errors.New("disk gone") }
	for _, tt := range []struct {
		name, method, target string
		give                 Token
		status               int
		field, value         string
	}{
		{"origin form", "GET", "/status", given, 401, "WWW-Authenticate", `Bearer realm="cosproxy"`},
		{"absolute form", "GET", "http://localhost/status", given, 407, "Proxy-Authenticate", `Basic realm="cosproxy"`},
		{"HEAD", "HEAD", "/status", given, 401, "WWW-Authenticate", `Bearer realm="cosproxy"`},
		{"unreadable", "GET", "/status", unreadable, 503, "Retry-After", "1"},
	} {
		r := httptest.NewRequest(tt.method, tt.target, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		New(nil, nil, tt.give).Handler(nil, nil).ServeHTTP(w, r)
		res := w.Result()
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != tt.status || res.Header.Get(tt.field) != tt.value {
			t.Errorf("%s: %d, %s %q", tt.name, res.StatusCode, tt.field, res.Header.Get(tt.field))
		}
		if res.Header.Get("Server") != "cosproxy" || res.Header.Get("Content-Type") != "application/xml" || res.Header.Get("Vary") != "" {
			t.Errorf("%s: header %v", tt.name, res.Header)
		}
		if doc, ok := coserr.Parse(body); tt.method == "HEAD" && len(body) > 0 || tt.method != "HEAD" && (!ok || doc.Resource != "localhost/status") {
			t.Errorf("%s: body %s", tt.name, body)
		}
	}
}

// Tokens may contain the separators of a signature.
func TestCheck_TokenWithSeparators(t *testing.T) {
	for _, token := range []string{"a/b+c==", "//", "a:b", ":"} {
		g := New(nil, nil, func() (string, error) { return token, nil })
		for _, value := range []string{"AWS4-HMAC-SHA256 Credential=" + token + "/20261129/us-east-1/s3/aws4_request, Signature=00", "AWS " + token + ":00="} {
			r := &Request{Method: http.MethodGet, Host: "localhost", Fields: http.Header{"Authorization": {value}}}
			if err := g.Check(r); err != nil {
				t.Errorf("%s: %v", value, err)
			}
		}
	}
}
