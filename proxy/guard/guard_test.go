package guard

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"cosproxy/proxy/internal/coserr"
)

const token = "client-token"

func given() (string, error) { return token, nil }

// Handler applies the same checks to admin pages.
func TestHandler(t *testing.T) {
	h := New([]string{"admin.internal"}, []string{"https://app.example"}, given).Handler(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil)
	for name, tt := range map[string]struct {
		host, origin, token string
		status              int
	}{
		"all right":      {"admin.internal:4361", "", token, 418},
		"listed site":    {"localhost", "https://app.example", token, 418},
		"other host":     {"evil.example", "", token, 421},
		"other site":     {"localhost", "https://evil.example", token, 403},
		"other token":    {"localhost", "", "wrong", 401},
		"all wrong":      {"evil.example", "http://evil.example", "wrong", 421},
		"metadata":       {"169.254.0.23", "", token, 421},
		"metadata, name": {"metadata.tencentyun.com", "", token, 421},
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Host = tt.host
		req.Header.Set("Authorization", "Bearer "+tt.token)
		if tt.origin != "" {
			req.Header.Set("Origin", tt.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", name, w.Code, tt.status)
		}
	}
}

func TestHandler_Hosts(t *testing.T) {
	h := New([]string{"admin.internal"}, nil, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil)
	for host, status := range map[string]int{
		"localhost": 418, "127.0.0.1:4361": 418, "[::1]:4361": 418, "admin.internal": 418, "evil.example": 421, "": 418,
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != status {
			t.Errorf("Host %q: %d, want %d", host, w.Code, status)
		}
	}
}

// Pages of an allowed origin can read an error response, and it names the setting.
func TestHandler_Refusal(t *testing.T) {
	name := func(s coserr.Setting) string { return "VARIABLE_" + s.Name }
	h := New(nil, []string{"https://app.example"}, given).Handler(nil, name)
	r := httptest.NewRequest(http.MethodGet, "/status", nil)
	r.Host = "localhost"
	r.Header.Set("Origin", "https://app.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	doc, ok := coserr.Parse(w.Body.Bytes())
	id := w.Header()["x-cos-request-id"] //nolint:staticcheck // as COS spells it
	if !ok || doc.Code != "AccessDenied" || doc.Message == "" || len(id) != 1 || doc.RequestID != id[0] || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("document %+v, header %v", doc, w.Header())
	}
	if want := "VARIABLE_ClientToken."; len(doc.Message) < len(want) || doc.Message[len(doc.Message)-len(want):] != want {
		t.Errorf("message %q", doc.Message)
	}
}

func TestCheck_Local(t *testing.T) {
	g := New(nil, nil, nil)
	tcp := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4360}
	for _, tt := range []struct {
		name string
		r    Request
		ok   bool
	}{
		{"own address", Request{Host: "192.0.2.7:4360", Local: tcp}, true},
		{"own address, mapped", Request{Host: "[::ffff:192.0.2.7]:4360", Local: tcp}, true},
		{"another address", Request{Host: "192.0.2.8:4360", Local: tcp}, false},
		{"Unix socket", Request{Host: "anything", Local: &net.UnixAddr{}}, true},
		{"through a Unix socket as a proxy", Request{Host: "anything", Scheme: "http", Local: &net.UnixAddr{}}, false},
		{"no Host", Request{Local: tcp}, true},
	} {
		tt.r.Fields = http.Header{}
		if err := g.Check(&tt.r); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCheck_NoAllocations(t *testing.T) {
	g := New([]string{"cos.internal"}, nil, nil)
	r := &Request{Method: "GET", Host: "localhost", Fields: http.Header{}}
	if n := testing.AllocsPerRun(100, func() { _ = g.Check(r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// The message names the bucket or the Host, and never a password before it.
func TestMisdirected(t *testing.T) {
	const bucket = "bucket-1250000000.cos.ap-guangzhou.myqcloud.com"
	const noBucket = "No route leads to bucket bucket-1250000000 in ap-guangzhou. Add a route for it: set its region and Route.Bucket."
	for host, want := range map[string]string{
		"evil.example:80":          `cosproxy does not serve the Host "evil.example:80". Use localhost, or add the name to AllowedHosts.`,
		"user:secret@evil.example": `cosproxy does not serve the Host "evil.example". Use localhost, or add the name to AllowedHosts.`,
		bucket:                     noBucket,
		"BUCKET-1250000000" + bucket[17:] + ":80": noBucket,
		"user:secret@" + bucket:                   noBucket,
		"user:sec.ret@" + bucket:                  noBucket,
		"a.cos.secret@b.myqcloud.com":             `No route leads to the Tencent Cloud host "b.myqcloud.com". Use the host of a bucket of a route, or add a route. The bucket of a route is set in Route.Bucket.`,
		"ci.ap-guangzhou.myqcloud.com":            `No route leads to the Tencent Cloud host "ci.ap-guangzhou.myqcloud.com". Use the host of a bucket of a route, or add a route. The bucket of a route is set in Route.Bucket.`,
	} {
		err := Misdirected(host)
		var refusal *coserr.Error
		if !errors.As(err, &refusal) || refusal.Status != http.StatusMisdirectedRequest || refusal.Text(nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}
