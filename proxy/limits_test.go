package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// Values at the limit are accepted; one more byte or field is rejected.
func TestLimits(t *testing.T) {
	fields := func(n int) string {
		return "GET /key HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X-Same: 1\r\n", n-2) + "X-Other: 1\r\n\r\n"
	}
	header := func(n int) string { // n bytes of request line and fields
		const around = "GET /key HTTP/1.1\r\nHost: localhost\r\nX-Long: \r\n"
		return "GET /key HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("v", n-len(around)) + "\r\n\r\n"
	}
	body := func(n int) string {
		return fmt.Sprintf("PUT /key HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("b", n))
	}
	chunked := func(n int) string {
		return fmt.Sprintf("PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("b", n))
	}
	small := func(o *proxy.Options) {
		o.Limits.HeaderBytes, o.Limits.BodyBytes = 30_000, 100_000
	}
	tiny := func(o *proxy.Options) { o.Limits.HeaderBytes = 4096 }
	tests := []struct {
		name    string
		options func(*proxy.Options)
		request func(int) string
		most    int
		status  int
		code    string
		says    string
	}{
		{"fields", nil, fields, 256, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge", "Limits.HeaderBytes"},
		{"fields, set", small, fields, 117, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge", "or 117 header fields"},
		{"fields of a small header", tiny, fields, 100, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge", "or 100 header fields"},
		{"header", nil, header, 64 << 10, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge", "Limits.HeaderBytes"},
		{"header, set", small, header, 30_000, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge", "30000 bytes"},
		{"body", small, body, 100_000, http.StatusRequestEntityTooLarge, "EntityTooLarge", "Limits.BodyBytes"},
		{"chunked body", small, chunked, 100_000, http.StatusRequestEntityTooLarge, "EntityTooLarge", "100000 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ends := make(chan error, 2)
			r := start(t, setup{options: tt.options, handle: func(a *arrival) {
				err := a.readBody()
				if err == nil {
					a.respond(ok)
				}
				ends <- err
			}})
			if rep := r.exchange(t, tt.request(tt.most)); rep.status != http.StatusOK || <-ends != nil {
				t.Fatalf("%d: got\n%s%s", tt.most, rep.head, rep.body)
			}
			rep := r.exchange(t, tt.request(tt.most+1))
			if doc := rep.cosError(t); rep.status != tt.status || doc.Code != tt.code || !strings.Contains(doc.Message, tt.says) {
				t.Errorf("%d: got\n%s%s", tt.most+1, rep.head, rep.body)
			}
			if log := r.drained(t); len(log) > 10<<10 || len(rep.body) > 4<<10 {
				t.Errorf("%d bytes of log and %d of response repeat what was too long", len(log), len(rep.body))
			}
			// Only of a body that grows past the limit does COS hear, and never the end.
			if n := len(r.upstream.seen()); n > 1 && (tt.name != "chunked body" || <-ends == nil) {
				t.Errorf("%d requests reached COS", n)
			}
		})
	}
}

// A request line longer than the limit for the header has its own status.
func TestLimits_RequestLine(t *testing.T) {
	for _, tt := range []struct {
		length, status int
		code           string
	}{
		{30_000 - 2, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge"}, // no field fits any more
		{30_000 - 1, http.StatusRequestURITooLong, "RequestURITooLong"},
	} {
		r := start(t, setup{options: func(o *proxy.Options) { o.Limits.HeaderBytes = 30_000 }})
		const around = "GET / HTTP/1.1"
		rep := r.exchange(t, "GET /"+strings.Repeat("k", tt.length-len(around))+" HTTP/1.1\r\n\r\n")
		r.refused(t, rep, tt.status, tt.code)
		if !strings.Contains(rep.body, "30000 bytes") || !strings.Contains(rep.body, "Limits.HeaderBytes") {
			t.Errorf("%d bytes: got %s", tt.length, rep.body)
		}
	}
}

// The body limit applies to forms too.
func TestLimits_Form(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Limits.BodyBytes = 1000 }})
	rep := r.exchange(t, fmt.Sprintf("POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1001\r\n\r\n%s", strings.Repeat("b", 1001)))
	r.refused(t, rep, http.StatusRequestEntityTooLarge, "EntityTooLarge")
}
