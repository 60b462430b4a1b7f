package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// What is just within a limit passes; one byte or field more does not.
func TestLimits(t *testing.T) {
	line := func(n int) string {
		const around = "GET / HTTP/1.1"
		return "GET /" + strings.Repeat("k", n-len(around)) + " HTTP/1.1\r\n\r\n"
	}
	fields := func(n int) string { // Host is none of them
		return "GET /key HTTP/1.1\r\n" + strings.Repeat("X-Same: 1\r\n", n-1) + "X-Other: 1\r\n\r\n"
	}
	body := func(n int) string {
		return fmt.Sprintf("PUT /key HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("b", n))
	}
	chunked := func(n int) string {
		return fmt.Sprintf("PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("b", n))
	}
	small := func(o *proxy.Options) {
		o.Limits.RequestLine, o.Limits.Headers, o.Limits.Body = 1000, 10, 100_000
	}
	tests := []struct {
		name    string
		options func(*proxy.Options)
		request func(int) string
		most    int
		status  int
		code    string
		says    string
	}{
		{"request line", nil, line, 16 << 10, http.StatusRequestURITooLong, "RequestURITooLong", "Limits.RequestLine"},
		{"request line, set", small, line, 1000, http.StatusRequestURITooLong, "RequestURITooLong", "1000 bytes"},
		{"fields", nil, fields, 100, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge", "Limits.Headers"},
		{"fields, set", small, fields, 10, http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge", "more than 10"},
		{"body", small, body, 100_000, http.StatusRequestEntityTooLarge, "EntityTooLarge", "Limits.Body"},
		{"chunked body", small, chunked, 100_000, http.StatusRequestEntityTooLarge, "EntityTooLarge", "100000 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ends := make(chan error, 2)
			r := start(t, setup{options: tt.options, handle: func(a *arrival) {
				err := a.readBody()
				if err == nil {
					a.answer(ok)
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
				t.Errorf("%d bytes of log and %d of answer repeat what was too long", len(log), len(rep.body))
			}
			// Only of a body that grows past the limit does COS hear, and never the end.
			if n := len(r.upstream.seen()); n > 1 && (tt.name != "chunked body" || <-ends == nil) {
				t.Errorf("%d requests reached COS", n)
			}
		})
	}
}

// A form's body is limited like others.
func TestLimitOfAForm(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Limits.Body = 1000 }})
	rep := r.exchange(t, fmt.Sprintf("POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1001\r\n\r\n%s", strings.Repeat("b", 1001)))
	r.refused(t, rep, http.StatusRequestEntityTooLarge, "EntityTooLarge")
}
