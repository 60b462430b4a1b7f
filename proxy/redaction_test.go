package proxy_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cosproxy/proxy"
)

const neverShown = "SECRET-NEVER-SHOWN"

// Errors of an HTTP parser may quote the header of COS.
func TestRedaction_COSHeaders(t *testing.T) {
	for name, response := range map[string]string{
		"no header line":   "HTTP/1.1 200 OK\r\nx-cos-security-token " + neverShown + "\r\n\r\n",
		"continued line":   "HTTP/1.1 200 OK\r\n " + neverShown + "\r\n\r\n",
		"no status line":   neverShown + "\r\n\r\n",
		"no status":        "HTTP/1.1 " + neverShown + "\r\n\r\n",
		"no length":        "HTTP/1.1 200 OK\r\nContent-Length: " + neverShown + "\r\n\r\n",
		"unknown coding":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + neverShown + "\r\n\r\n",
		"no trailer line":  "HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + neverShown + "\r\n\r\n",
		"no chunk":         "HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + neverShown + "\r\n",
		"malformed name":   "HTTP/1.1 200 OK\r\n" + neverShown + "@\xff : x\r\n\r\n",
		"bad trailer name": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length, " + neverShown + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				a.respond(response)
				a.conn.Close()
			}})
			c := r.dial(t)
			c.send("GET /key HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			text := c.end()
			if log := r.drained(t); strings.Contains(log+text, neverShown) || !strings.Contains(log, "error.message=") {
				t.Errorf("log:\n%s\nresponse:\n%s", log, text)
			}
		})
	}
}

// The same for the trailers of a client.
func TestRedaction_ClientTrailers(t *testing.T) {
	r := start(t, setup{})
	c := r.dial(t)
	c.send("PUT /key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + neverShown + "\r\n\r\n")
	text := c.end()
	if log := r.drained(t); strings.Contains(log+text, neverShown) || !strings.Contains(log, "error.message=") {
		t.Errorf("log:\n%s\nresponse:\n%s", log, text)
	}
}

// The message omits the reason of the HTTP proxy and names the setting to check.
func TestRedaction_HTTPProxyRejects(t *testing.T) {
	k := newCredentials(1)
	proxyAddress := newUpstreamProxy(t, "HTTP/1.1 407 "+neverShown+"\r\nContent-Length: 0\r\n\r\n")
	r := start(t, setup{creds: k, options: func(o *proxy.Options) {
		o.Routes[0].Endpoint = "https://{bucket}.cos.{region}.myqcloud.com"
		o.Upstream = proxy.Upstream{Proxy: func(*url.URL) (*url.URL, error) { return &url.URL{Scheme: "http", Host: proxyAddress}, nil }}
	}})
	r.refused(t, r.get(t, "/key"), http.StatusBadGateway, "BadGateway")
	if log := r.drained(t); strings.Contains(log, neverShown) || !strings.Contains(log, "the HTTP proxy refused CONNECT with 407 Proxy Authentication Required") {
		t.Error(log)
	}
}

// newUpstreamProxy sends the same bytes on every connection.
func newUpstreamProxy(t *testing.T, response string) (address string) {
	t.Helper()
	ln := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, response)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}

// Passwords appear neither in responses nor in the log.
func TestRedaction_Passwords(t *testing.T) {
	r := start(t, setup{})
	const user = "user:" + neverShown + "@"
	for _, head := range []string{
		"GET ftp://" + user + "localhost/a HTTP/1.1\r\nHost: localhost",
		"GET ftp://" + user + "localhost/a?token=" + neverShown + " HTTP/1.1\r\nHost: localhost",
		"GET http:" + user + "localhost/a HTTP/1.1\r\nHost: localhost",
		"GET http://" + user + "evil.example/a HTTP/1.1\r\nHost: evil.example",
		"GET /a HTTP/1.1\r\nHost: " + user + "evil.example",
		"GET /a HTTP/1.1\r\nHost: " + user + "b-1250000000.cos.ap-guangzhou.myqcloud.com",
		"GET /a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://" + user + "evil.example",
		"PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nx-cos-copy-source: http://" + user + "evil.example/%zz",
		"PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nx-cos-copy-source: " + user + "evil.example/a",
		"PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nx-cos-copy-source: evil.example/?token=" + neverShown,
		"CONNECT " + user + "evil.example:443 HTTP/1.1\r\nHost: evil.example:443",
	} {
		c := r.dial(t)
		c.send(head + "\r\nConnection: close\r\n\r\n")
		if text := c.end(); strings.Contains(text, neverShown) || !strings.HasPrefix(text, "HTTP/1.1 4") {
			t.Errorf("%s\n gets %s", head, text)
		}
	}
	if log := r.drained(t); strings.Contains(log, neverShown) {
		t.Error(log)
	}
}
