package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// oversharing is a COS whose response to each request is followed by bytes of
// another object.
func oversharing(t *testing.T, head, excess string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				_, _ = io.WriteString(c, head+excess)
				_, _ = io.Copy(io.Discard, r) // until cosproxy hangs up
			}()
		}
	}()
	return l.Addr().String()
}

// net/http prints the bytes that follow a response through package log. They may
// be those of an object, and the line has to be one of ours.
func TestLibraryLog_UnsolicitedResponse(t *testing.T) {
	const secret = "TOPSECRETBYTES"
	sts := newSTS(t, httptest.NewServer)
	for _, tt := range []struct{ name, method, head string }{
		{"behind a body", http.MethodGet, "HTTP/1.1 200 OK\r\nx-cos-request-id: u\r\nContent-Length: 5\r\n\r\nhello"},
		{"behind a HEAD", http.MethodHead, "HTTP/1.1 200 OK\r\nx-cos-request-id: u\r\nContent-Length: 5\r\n\r\n"},
		{"behind a 304", http.MethodGet, "HTTP/1.1 304 Not Modified\r\nx-cos-request-id: u\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com",
				"COSPROXY_CONNECT_TO="+oversharing(t, tt.head, strings.Repeat(secret, 300)))
			req, err := http.NewRequest(tt.method, "http://"+p.app+"/uploads/a", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := p.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			p.logs.wait(t, "Unsolicited response received on idle HTTP channel")
			p.end(t, exitOK)
			for line := range strings.Lines(p.logs.all()) {
				if !strings.HasPrefix(line, "{") || len(line) > 1000 || strings.Contains(line, secret[:9]) {
					t.Errorf("in the log is %q", line)
				}
			}
		})
	}
}
