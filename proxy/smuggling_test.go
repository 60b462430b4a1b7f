package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// Hosts that belong to another server, for a browser or a client of an HTTP proxy.
func TestSmuggling_ForeignHosts(t *testing.T) {
	for _, host := range []string{
		"evil.example", "evil.example:4360",
		"169.254.0.23", "metadata.tencentyun.com", "169.254.169.254:80", "100.100.100.200",
		"localhost:x", "localhost:x.evil.example", "127.0.0.1:80.evil.example",
		cosHost + ":80:80", cosHost + ":x", cosHost + ".evil.example", cosHost + "..", "." + cosHost, "x." + cosHost,
		"[::ffff:169.254.0.23]", "[::1", "2130706433", "0x7f000001", "0",
	} {
		t.Run(host, func(t *testing.T) {
			r := start(t, setup{})
			r.refused(t, r.exchange(t, "GET /key HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), http.StatusMisdirectedRequest, "MisdirectedRequest")
		})
	}
	for _, target := range []string{
		"http://evil.example/key", "http://169.254.0.23/latest/meta-data/", "http://metadata.tencentyun.com/latest/meta-data/cam/security-credentials/",
		"http://localhost@evil.example/key", "http://" + cosHost + "@evil.example/key", "http://" + cosHost + ".evil.example/key",
		"http://user:" + cosHost + "@evil.example/", "https://evil.example/", "http://evil.example:4360/" + bucket + "/key",
	} {
		t.Run(target, func(t *testing.T) {
			r := start(t, setup{})
			for _, host := range []string{"evil.example", "localhost", cosHost} {
				r.refused(t, r.exchange(t, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), http.StatusMisdirectedRequest, "MisdirectedRequest")
			}
		})
	}
}

// A request line or a Host that two servers could read differently.
func TestSmuggling_InvalidHost(t *testing.T) {
	for _, headers := range []string{
		"Host: localhost\r\nHost: localhost",
		"Host: localhost\r\nHost: evil.example",
		"Host: localhost\r\nhost: " + cosHost,
		"Host: localhost\r\n evil.example",
		"Host: localhost evil.example",
		"Host: localhost/evil",
		"Host: user@" + cosHost,
		"Host: user:pass@localhost",
		"Host: localhost:4360@evil.example",
		"Host : localhost",
		" Host: localhost",
		"X: y",
	} {
		t.Run(headers, func(t *testing.T) {
			r := start(t, setup{})
			c := r.dial(t)
			c.send("GET /key HTTP/1.1\r\n" + headers + "\r\n\r\n")
			r.refused(t, c.reply("GET"), http.StatusBadRequest, "InvalidRequest")
			if rest := c.end(); rest != "" {
				t.Errorf("the connection goes on with %q", rest)
			}
		})
	}
}

// A folded header is rejected (RFC 9112, 5.2).
func TestSmuggling_FoldedHeader(t *testing.T) {
	r := start(t, setup{})
	rep := r.exchange(t, "PUT /key HTTP/1.1\r\nX-Cos-Meta-A: one\r\n two\r\n\tX-Cos-Acl: public-read\r\nContent-Length: 4\r\n\r\ntest")
	r.refused(t, rep, http.StatusBadRequest, "InvalidRequest")
}

// For any spelling of a path, nothing outside the prefixes is reached, whether COS uses
// it as it is, decodes it, or resolves its dots.
func TestSmuggling_PathsOutsidePrefix(t *testing.T) {
	dots := []string{"..", ".%2e", "%2e.", "%2e%2e", "%2E%2E"}
	slashes := []string{"/", "//", "%2f", "%2F", "%5c", `\`, "/%2f", "%2f/", "/./", `/%5c`}
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	inside := start(t, setup{options: func(o *proxy.Options) {
		o.Routes[0].AllowPrefixes, o.Routes[0].PathPrefix, o.Routes[0].ObjectPrefix = []string{"dir/*"}, "/p/", "dir/"
	}})
	for _, d := range dots {
		for _, s := range slashes {
			for _, target := range []string{
				"/dir/" + d + s + "secret", "/dir" + s + d + s + "secret", "/dir/a" + s + d + s + d + s + "secret",
				"/dir/." + s + d + s + "dirsecret", "/dir/a" + s + d + s + d, s + "dir/" + d + s + "secret",
			} {
				if target[0] != '/' {
					target = "/" + target
				}
				for _, form := range []string{target, "http://localhost" + target, "http://" + cosHost + target} {
					rep := r.exchange(t, "GET "+form+" HTTP/1.1\r\n\r\n")
					if rep.status != http.StatusForbidden && rep.status != http.StatusBadRequest {
						t.Errorf("GET %s: status %d", form, rep.status)
					}
				}
			}
			for _, target := range []string{"/p/" + d + s + "secret", "/p/a" + s + d + s + d + s + "secret", "/p" + s + d + s + "secret"} {
				rep := inside.exchange(t, "GET "+target+" HTTP/1.1\r\n\r\n")
				if rep.status != http.StatusForbidden && rep.status != http.StatusBadRequest && rep.status != http.StatusNotFound {
					t.Errorf("GET %s: status %d", target, rep.status)
				}
			}
		}
	}
	for _, a := range append(r.upstream.seen(), inside.upstream.seen()...) {
		t.Errorf("%s reached COS", a.target())
	}
	// What looks alike and is inside still passes, byte for byte.
	for i, target := range []string{"/dir/..a", "/dir//a", "/dir/a%2fb", "/dir/a%5Cb", "/dir/a/../b", "/dir/%252e%252e/a", "/dir%2Fa"} {
		if rep := r.get(t, target); rep.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", target, rep.status, rep.body)
		}
		if got := r.upstream.seen()[i].target(); got != target {
			t.Errorf("%s arrived as %s", target, got)
		}
	}
}

// A request in the body of another one is not executed.
func TestSmuggling_RequestInBody(t *testing.T) {
	const inner = "DELETE /victim HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
	r := start(t, setup{})
	c := r.dial(t)
	c.send("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 63\r\n\r\n" + inner + noBody)
	c.reply("PUT")
	c.reply("GET")
	seen := r.upstream.seen()
	if len(inner) != 63 || len(seen) != 2 || string(seen[0].body) != inner || seen[1].Method != http.MethodGet {
		t.Errorf("%d requests arrived, with an inner one of %d bytes", len(seen), len(inner))
	}
}

// CONNECT is rejected with helpful advice, for any target.
func TestSmuggling_CONNECT(t *testing.T) {
	for _, authority := range []string{cosHost + ":443", "evil.example:443", "localhost:4360"} {
		r := start(t, setup{})
		c := r.dial(t)
		c.send("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n")
		doc := r.refused(t, c.reply("CONNECT"), http.StatusMethodNotAllowed, "MethodNotAllowed")
		if !strings.Contains(doc.Message, "Use http:// URLs") {
			t.Errorf("%s", doc.Message)
		}
	}
}
