package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// startTLS starts a rig whose proxy has a TLS listener.
func startTLS(t *testing.T, s setup) *rig {
	t.Helper()
	r := start(t, s)
	borrowed := httptest.NewTLSServer(nil)
	certificates := borrowed.TLS.Certificates
	borrowed.Close()
	r.serveOn(t, listen(t), proxy.ServerOptions{TLS: &tls.Config{Certificates: certificates}})
	return r
}

func (r *rig) dialTLS(t *testing.T) *client {
	t.Helper()
	c, err := tls.Dial("tcp", r.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

func TestTLS_Request(t *testing.T) {
	r := startTLS(t, setup{})
	c := r.dialTLS(t)
	c.send("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest")
	if rep := c.reply("PUT"); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	// What net/http refuses by itself has COS's form here too, and framing is seen.
	c.send("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	if rep := c.reply("PUT"); rep.status != http.StatusBadRequest || rep.cosError(t).Code != "InvalidRequest" {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	c = r.dialTLS(t)
	c.send("GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if rep := c.reply("GET"); rep.status != http.StatusBadRequest || rep.cosError(t).Code != "InvalidURI" {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
}

// Pages of a TLS site have an Origin with https; http is another origin.
func TestTLS_OwnOrigin(t *testing.T) {
	for origin, status := range map[string]int{
		"https://localhost": 200, "https://LOCALHOST:443": 200, "http://localhost": 403, "https://localhost:80": 403, "null": 403,
	} {
		r := startTLS(t, setup{})
		c := r.dialTLS(t)
		c.send("GET /key HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin + "\r\n\r\n")
		if rep := c.reply("GET"); rep.status != status {
			t.Errorf("Origin %s: %d, want %d", origin, rep.status, status)
		}
	}
}

func TestTLS_PlainHTTP(t *testing.T) {
	r := startTLS(t, setup{})
	for _, line := range []string{"GET /key", "PUT /key", "POST /key", "DELETE /key", "OPTIONS /key", "GET http://localhost/key"} {
		rep := r.exchange(t, line+" HTTP/1.1\r\n\r\n")
		if doc := r.refused(t, rep, http.StatusBadRequest, "InvalidRequest"); !strings.Contains(doc.Message, "https://") {
			t.Errorf("%s: %s", line, doc.Message)
		}
	}
	c := r.dial(t)
	c.send("SSH-2.0-x\r\n")
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if rest := c.end(); strings.Contains(rest, "HTTP") {
		t.Errorf("what is no HTTP got %q", rest)
	}
}

// An interrupted download must not end with close_notify, which is a complete body to
// an HTTP/1.0 client.
func TestTLS_InterruptedDownload(t *testing.T) {
	r := startTLS(t, setup{handle: func(a *arrival) {
		a.respond("HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
		a.conn.Close()
	}})
	c := r.dialTLS(t)
	c.send("GET /key HTTP/1.0\r\nHost: localhost\r\n\r\n")
	if body, err := io.ReadAll(c.r); err == nil {
		t.Errorf("the download ends cleanly after\n%s", body)
	}
}
