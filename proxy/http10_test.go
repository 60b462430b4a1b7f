package proxy_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// HTTP/1.0 ends a body of unknown length with the connection, and a Unix socket has no
// reset. So such a client gets a length or an error, never a truncated body.
func TestHTTP10_UnixSocket(t *testing.T) {
	long := strings.Repeat("x", 1<<20+1)
	const chunks = "HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name, response string
		status         int
		body           string
	}{
		{"whole", chunks + "5\r\nhello\r\n0\r\n\r\n", http.StatusOK, "hello"},
		{"empty", chunks + "0\r\n\r\n", http.StatusOK, ""},
		{"cut", chunks + "5\r\nhello\r\n", http.StatusBadGateway, ""},
		{"damaged", strings.Replace(chunks, "\r\n\r\n", "\r\nx-cos-hash-crc64ecma: 1\r\n\r\n", 1) + "5\r\nhello\r\n0\r\n\r\n", http.StatusBadGateway, ""},
		{"long", fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", chunks, len(long), long), http.StatusHTTPVersionNotSupported, ""},
		{"with a length", "HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nContent-Length: 5\r\n\r\nhello", http.StatusOK, "hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "s")
			ln, err := net.Listen("unix", name)
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, setup{handle: func(a *arrival) {
				a.respond(tt.response)
				a.conn.Close()
			}})
			r.serveOn(t, ln, proxy.ServerOptions{})
			conn, err := net.Dial("unix", name)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := &client{t, conn, bufio.NewReader(conn)}
			c.send("GET /key HTTP/1.0\r\n\r\n")
			rep := c.reply("GET")
			if rep.status != tt.status || rep.header.Get("Content-Length") == "" || rep.err != nil {
				t.Errorf("got\n%s%.500s %v", rep.head, rep.body, rep.err)
			}
			if tt.status == http.StatusOK && rep.body != tt.body {
				t.Errorf("body %q, want %q", rep.body, tt.body)
			}
		})
	}
}
