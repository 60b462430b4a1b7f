package guard

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"cosproxy/proxy/internal/coserr"
)

const listed = "https://app.example"

// statusOf returns the status of an error, or 0 for nil.
func statusOf(t *testing.T, err error) int {
	t.Helper()
	var refusal *coserr.Error
	if err != nil && !errors.As(err, &refusal) {
		t.Fatalf("not a *coserr.Error: %v", err)
	}
	if refusal == nil {
		return 0
	}
	return refusal.Status
}

func TestCheck_Origin(t *testing.T) {
	type fields = http.Header
	tests := []struct {
		name   string
		fields fields
		passes bool
	}{
		{"no browser", fields{}, true},
		{"address bar", fields{"Sec-Fetch-Site": {"none"}}, true},
		{"own page", fields{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://localhost"}}, true},
		{"own page, old browser", fields{"Origin": {"http://localhost"}}, true},
		{"own page, default port", fields{"Origin": {"HTTP://LOCALHOST:80"}}, true},
		{"other site", fields{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, false},
		{"other site, old browser", fields{"Origin": {"https://evil.example"}}, false},
		{"other site, picture", fields{"Sec-Fetch-Site": {"cross-site"}}, false},
		{"other site, picture with Referer", fields{"Sec-Fetch-Site": {"cross-site"}, "Referer": {"https://evil.example/page"}}, false},
		{"other port of localhost", fields{"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://localhost:8080"}}, false},
		{"other port, picture", fields{"Sec-Fetch-Site": {"same-site"}}, false},
		{"other port, old browser", fields{"Origin": {"http://localhost:8080"}}, false},
		{"file or sandbox", fields{"Origin": {"null"}}, false},
		{"empty origin", fields{"Origin": {""}}, false},
		{"two origins", fields{"Origin": {"http://localhost", "https://evil.example"}}, false},
		{"listed origin and another", fields{"Origin": {listed, "https://evil.example"}}, false},
		{"listed", fields{"Sec-Fetch-Site": {"cross-site"}, "Origin": {listed}}, true},
		{"listed, spelled differently", fields{"Origin": {"HTTPS://App.Example:443"}}, true},
		{"listed, picture", fields{"Sec-Fetch-Site": {"cross-site"}, "Referer": {listed + "/page"}}, true},
		{"listed, other scheme", fields{"Origin": {"http://app.example"}}, false},
		{"listed, other port", fields{"Origin": {listed + ":8443"}}, false},
		{"longer name", fields{"Origin": {listed + ".evil.example"}}, false},
		{"unknown Sec-Fetch-Site", fields{"Sec-Fetch-Site": {"elsewhere"}}, false},
		{"own page, Origin of another", fields{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://evil.example"}}, false},
		{"two Sec-Fetch-Site", fields{"Sec-Fetch-Site": {"same-origin", "cross-site"}}, false},
		{"own name on TLS", fields{"Origin": {"https://localhost"}}, false},
		{"listed Referer, Origin of another", fields{"Origin": {"https://evil.example"}, "Referer": {listed + "/"}}, false},
		{"Referer alone", fields{"Referer": {"https://evil.example/"}}, true},
	}
	g := New(nil, []string{listed, "null", ""}, nil)
	for _, tt := range tests {
		for _, method := range []string{"GET", "PUT", "OPTIONS"} {
			want := 0
			if !tt.passes {
				want = http.StatusForbidden
			}
			if got := statusOf(t, g.Check(&Request{Method: method, Host: "localhost", Fields: tt.fields})); got != want {
				t.Errorf("%s %s: %d, want %d", method, tt.name, got, want)
			}
		}
	}
}

// The scheme of the own origin is that of an absolute target, else that of the
// connection.
func TestCheck_OwnOrigin(t *testing.T) {
	const bucket = "bucket-1250000000.cos.ap-guangzhou.myqcloud.com"
	g := New([]string{bucket}, nil, nil)
	for _, tt := range []struct {
		host, scheme string
		secure       bool
		origin       string
		want         int
	}{
		{bucket, "http", false, "http://" + bucket, 0},
		{bucket, "https", false, "https://" + bucket, 0},
		{bucket, "https", false, "http://" + bucket, 403},
		{bucket, "http", true, "https://" + bucket, 403},
		{bucket, "http", false, "http://localhost", 403},
		{"localhost", "", true, "https://localhost", 0},
		{"localhost", "", true, "https://LOCALHOST:443", 0},
		{"localhost", "", true, "http://localhost", 403},
		{"localhost", "", true, "https://localhost:80", 403},
		{"localhost:4360", "", false, "http://localhost:4360", 0},
		{"localhost:4360", "", false, "http://localhost", 403},
		{"", "", false, "http://", 403},
		{"", "", false, "null", 403},
	} {
		r := &Request{Method: "GET", Host: tt.host, Scheme: tt.scheme, Secure: tt.secure, Fields: http.Header{"Origin": {tt.origin}}}
		if got := statusOf(t, g.Check(r)); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

func TestAllowOrigin(t *testing.T) {
	for _, tt := range []struct {
		name    string
		origins []string
		sent    []string
		vary    bool
		origin  string
	}{
		{"no allowed origin", nil, []string{listed}, false, ""},
		{"allowed", []string{listed}, []string{listed}, true, listed},
		{"allowed, as sent", []string{listed + "/"}, []string{"https://APP.example:443"}, true, "https://APP.example:443"},
		{"another", []string{listed}, []string{"https://evil.example"}, true, ""},
		{"two", []string{listed}, []string{listed, listed}, true, ""},
		{"none", []string{listed}, nil, true, ""},
		{"null", []string{"null", listed}, []string{"null"}, true, ""},
	} {
		vary, origin := New(nil, tt.origins, nil).AllowOrigin(http.Header{"Origin": tt.sent})
		if vary != tt.vary || origin != tt.origin {
			t.Errorf("%s: %v, %q", tt.name, vary, origin)
		}
	}
}

// Handler takes TLS and an absolute target from the net/http request.
func TestHandler_OwnOrigin(t *testing.T) {
	h := New(nil, nil, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil)
	for _, tt := range []struct {
		target, origin string
		secure         bool
		want           int
	}{
		{"/", "http://localhost", false, 418},
		{"/", "https://localhost", true, 418},
		{"/", "http://localhost", true, 403},
		{"http://localhost/", "http://localhost", true, 418},
		{"https://localhost/", "https://localhost", false, 418},
	} {
		r := httptest.NewRequest(http.MethodGet, tt.target, nil)
		r.Host, r.TLS = "localhost", nil
		if tt.secure {
			r.TLS = &tls.ConnectionState{}
		}
		r.Header.Set("Origin", tt.origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%+v: %d", tt, w.Code)
		}
	}
}
