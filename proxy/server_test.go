package proxy_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// Invalid HTTP gets an error document in COS's XML form.
func TestServer_InvalidHTTP(t *testing.T) {
	many := strings.Repeat("X-Filler: 1234567890\r\n", 4000)
	tests := []struct {
		name, request string
		status        int
		code, says    string
	}{
		{"header too large", "GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", 431, "RequestHeaderFieldsTooLarge", "65536 bytes"},
		{"too many headers", "GET / HTTP/1.1\r\nHost: localhost\r\n" + many + "\r\n", 431, "RequestHeaderFieldsTooLarge", "65536 bytes"},
		{"request line too large", "GET /" + strings.Repeat("x", 80<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "RequestURITooLong", "65536 bytes"},
		{"blank in the path", "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "InvalidRequest", "%20"},
		{"control byte in the path", "GET /a\x01b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "InvalidRequest", ""},
		{"no version", "GET /\r\nHost: localhost\r\n\r\n", 400, "InvalidRequest", ""},
		{"header without colon", "GET / HTTP/1.1\r\nHost: localhost\r\nNothing\r\n\r\n", 400, "InvalidRequest", "field"},
		{"blank in a header's name", "GET / HTTP/1.1\r\nHost: localhost\r\nX Y: 1\r\n\r\n", 400, "InvalidRequest", "name"},
		{"blank before the colon", "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n", 400, "InvalidRequest", "name"},
		{"control byte in a header's value", "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x01b\r\n\r\n", 400, "InvalidRequest", "header"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "InvalidRequest", "Host"},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, "InvalidRequest", "header"},
		{"broken Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "InvalidRequest", "Host"},
		{"broken Content-Length", "PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400, "InvalidRequest", ""},
		{"negative Content-Length", "PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400, "InvalidRequest", ""},
		{"two Content-Lengths", "PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "InvalidRequest", ""},
		{"unknown Transfer-Encoding", "PUT /k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "NotImplemented", "chunked"},
		{"two Transfer-Encodings", "PUT /k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501, "NotImplemented", "chunked"},
		{"unknown version", "GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505, "HTTPVersionNotSupported", "version"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "InvalidRequest", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			c := r.dial(t)
			c.send(tt.request)
			rep := c.reply("GET")
			doc := r.refused(t, rep, tt.status, tt.code)
			if !strings.Contains(doc.Message, tt.says) {
				t.Errorf("the message does not speak of %q: %s", tt.says, doc.Message)
			}
			if rep.header.Get("Connection") != "close" || rep.header.Get("Date") == "" || rep.header.Get("Content-Length") != strconv.Itoa(len(rep.body)) {
				t.Errorf("header\n%s", rep.head)
			}
			if rest := c.end(); rest != "" {
				t.Errorf("the connection goes on with %q", rest)
			}
			if log := r.log.String(); !strings.Contains(log, fmt.Sprintf("http.response.status_code=%d cos.request_id=%s ", tt.status, doc.RequestID)) {
				t.Errorf("the log does not name %s: %s", doc.RequestID, log)
			}
		})
	}
}

func TestServer_LargeHeaders(t *testing.T) {
	r := start(t, setup{})
	note := strings.Repeat("x", 60<<10)
	if rep := r.exchange(t, "GET /key HTTP/1.1\r\nX-Cos-Meta-Note: "+note+"\r\n\r\n"); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if r.upstream.only(t).Header.Get("X-Cos-Meta-Note") != note {
		t.Error("the header arrived changed")
	}
}

// A page whose name was rebound to 127.0.0.1 must not reach the bucket.
func TestServer_UnknownHost(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.AllowedHosts = []string{"cos.Internal", "pod:4360"} }})
	for _, host := range []string{
		"evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
		"192.0.2.1", "0.0.0.0", "[2001:db8::1]", "localhost..", "internal",
		"169.254.0.23", "metadata.tencentyun.com", "169.254.0.23:80", "[::ffff:169.254.0.23]", // the metadata service
	} {
		// In absolute form, Host does not count (RFC 9112, 3.2.2).
		for form, request := range map[string]string{
			"origin-form":   "GET /key HTTP/1.1\r\nHost: " + host,
			"absolute-form": "GET http://" + host + "/key HTTP/1.1\r\nHost: localhost",
			"https":         "GET https://" + host + "/key HTTP/1.1\r\nHost: localhost",
			"with a user":   "GET http://localhost@" + host + "/key HTTP/1.1\r\nHost: localhost",
		} {
			t.Run(form+", "+host, func(t *testing.T) {
				doc := r.refused(t, r.exchange(t, request+"\r\n\r\n"), http.StatusMisdirectedRequest, "MisdirectedRequest")
				if !strings.Contains(doc.Message, "AllowedHosts") {
					t.Errorf("the message does not say what to set: %s", doc.Message)
				}
			})
		}
	}
	for _, host := range []string{"COS.internal:80", "pod", "pod:1", "", ":4360"} {
		if rep := r.exchange(t, "GET /key HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); rep.status != http.StatusOK {
			t.Errorf("allowed Host %s: status %d", host, rep.status)
		}
	}
}

// HTTP/1.0 needs no Host; a browser always sends it.
func TestServer_NoHost(t *testing.T) {
	r := start(t, setup{})
	c := r.dial(t)
	c.send("GET /key HTTP/1.0\r\n\r\n")
	if rep := c.reply("GET"); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
}

// No name resolves to a Unix socket.
func TestServer_UnixSocketAnyHost(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, setup{})
	r.serveOn(t, ln, proxy.ServerOptions{})
	conn, err := net.Dial("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t, conn, bufio.NewReader(conn)}
	c.send("GET /key HTTP/1.1\r\nHost: evil.example\r\n\r\n")
	if rep := c.reply("GET"); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	if got := r.upstream.only(t).Host; got != cosHost {
		t.Errorf("Host %s", got)
	}
}

func TestServer_UnknownMethod(t *testing.T) {
	r := start(t, setup{})
	for _, line := range []string{"TRACE /key", "PATCH /key", "PROPFIND /", "get /key", "CONNECT localhost:443", "CONNECT " + cosHost + ":443", "CONNECT /key"} {
		t.Run(line, func(t *testing.T) {
			rep := r.exchange(t, line+" HTTP/1.1\r\n\r\n")
			r.refused(t, rep, http.StatusMethodNotAllowed, "MethodNotAllowed")
			if got := rep.header.Get("Allow"); got != "GET, HEAD, PUT, POST, DELETE, OPTIONS" {
				t.Errorf("Allow: %q", got)
			}
		})
	}
}

// The server does not support HTTP/2: it rejects its preface and the upgrade to it.
func TestServer_NoHTTP2(t *testing.T) {
	r := start(t, setup{})
	c := r.dial(t)
	c.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if rest := c.end(); strings.HasPrefix(rest, "HTTP/1.1 2") || len(r.upstream.seen()) != 0 {
		t.Errorf("got %q", rest)
	}
	rep := r.exchange(t, "GET /key HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
	if rep.status != http.StatusOK {
		t.Errorf("status %d", rep.status)
	}
}

// The error response to a HEAD has no body.
func TestServer_RejectedHEAD(t *testing.T) {
	r := start(t, setup{})
	c := r.dial(t)
	c.send("HEAD /key?a=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n" + noBody)
	if rep := c.reply("HEAD"); rep.status != http.StatusBadRequest || rep.header.Get("x-cos-request-id") == "" {
		t.Errorf("got\n%s", rep.head)
	}
	if rep := c.reply("GET"); rep.status != http.StatusOK {
		t.Errorf("the next request got\n%s", rep.head)
	}
}

// A path that cannot be decoded is rejected, and the connection stays open.
func TestServer_InvalidEscape(t *testing.T) {
	for _, path := range []string{"/%zz", "/a%"} {
		r := start(t, setup{})
		c := r.dial(t)
		c.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" + noBody)
		if rep := c.reply("GET"); rep.status != http.StatusBadRequest || !strings.Contains(rep.cosError(t).Message, "%25") {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if rep := c.reply("GET"); rep.status != http.StatusOK {
			t.Errorf("the next request got\n%s", rep.head)
		}
	}
}
