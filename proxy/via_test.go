package proxy_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/proxy"
)

// leadingTo is a proxy on ln that dials one address for all its requests to COS.
func leadingTo(t *testing.T, ln net.Listener, to string) *rig {
	t.Helper()
	r := &rig{creds: newCredentials(1), log: &syncBuffer{}, registry: prometheus.NewRegistry()}
	var err error
	r.proxy, err = proxy.New(proxy.Options{
		Routes: []proxy.Route{{Bucket: bucket, Region: region, Endpoint: plainCOS,
			AllowActions: []string{"*"}, AllowPrefixes: []string{"*"}, Credentials: r.creds}},
		Upstream: proxy.Upstream{ConnectTo: to}, Logger: slog.New(slog.NewTextHandler(r.log, nil)), Registerer: r.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.proxy.Close)
	r.serveOn(t, ln, proxy.ServerOptions{})
	return r
}

func leadingToItself(t *testing.T) *rig {
	ln := listen(t)
	return leadingTo(t, ln, ln.Addr().String())
}

// A loop is detected when the request first returns, and the client sees the cause.
func TestVia_LoopRejected(t *testing.T) {
	large := strings.Repeat("x", 100<<10)
	form := "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n"
	for _, tt := range []struct{ name, head, body string }{
		{"GET", "GET /a HTTP/1.1\r\nHost: localhost\r\n", ""},
		{"hidden by Connection", "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: via\r\n", ""},
		{"list", "GET /?prefix=a HTTP/1.1\r\nHost: localhost\r\n", ""},
		{"DELETE", "DELETE /a HTTP/1.1\r\nHost: localhost\r\n", ""},
		{"small upload", "PUT /a HTTP/1.1\r\nHost: localhost\r\n", "x"},
		{"large upload", "PUT /a HTTP/1.1\r\nHost: localhost\r\n", large},
		{"form", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n", form + large + "\r\n--b--\r\n"},
		{"small form", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n", form + "\r\n--b--\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := leadingToItself(t)
			c := r.dial(t)
			_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // without the refusal it takes longer
			if tt.body != "" {
				tt.head += fmt.Sprintf("Content-Length: %d\r\n", len(tt.body))
			}
			c.send(tt.head + "\r\n" + tt.body)
			rep := c.reply("GET")
			if doc := rep.cosError(t); rep.status != http.StatusLoopDetected || doc.Code != "LoopDetected" || !strings.Contains(doc.Message, "HTTP_PROXY") {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			c.Close()
			text := r.drained(t)
			if n := strings.Count(text, "\n"); n > 4 || !strings.Contains(text, "level=ERROR msg=request") || !strings.Contains(text, "LoopDetected") {
				t.Errorf("%d lines in the log:\n%s", n, text[:min(len(text), 4000)])
			}
		})
	}
}

// A loop of two proxies is detected by the first, because the second forwards its name
// in Via.
func TestVia_LoopOfTwo(t *testing.T) {
	here, there := listen(t), listen(t)
	first := leadingTo(t, here, there.Addr().String())
	second := leadingTo(t, there, here.Addr().String())
	rep := first.get(t, "/a")
	if rep.status != http.StatusLoopDetected || rep.cosError(t).Code != "LoopDetected" {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	if n := strings.Count(second.drained(t), "msg=request"); n != 1 {
		t.Errorf("the second has had the request %d times, want once", n)
	}
}

// Via has the names of this process and of other cosproxies, and nothing else. It is
// not signed.
func TestVia_Header(t *testing.T) {
	const other = "cosproxy-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	r := start(t, setup{})
	for _, via := range []string{
		"", "Via: 1.1 gateway.internal\r\n", "Via: 1.1 gateway.internal, 1.0 " + other + "\r\nVia: HTTP/1.1 x (a, b)\r\n",
		"Via: 1.1 cosproxy-internal, 1.1 " + other + "x, 1.1 " + strings.ToLower(other) + ", " + other + "\r\n",
	} {
		rep := r.exchange(t, "GET /key HTTP/1.1\r\n"+via+"\r\n")
		if rep.status != http.StatusOK {
			t.Errorf("%q: %d", via, rep.status)
		}
	}
	var names []string
	for i, a := range r.upstream.seen() {
		own := regexp.MustCompile(`^1\.1 (cosproxy-[A-Z2-7]{26})$`)
		if i == 2 {
			own = regexp.MustCompile(`^1\.1 ` + other + `, 1\.1 (cosproxy-[A-Z2-7]{26})$`)
		}
		match := own.FindStringSubmatch(strings.Join(a.wire()["Via"], "|"))
		if match == nil {
			t.Fatalf("request %d has Via %q", i, a.wire()["Via"])
		}
		names = append(names, match[1])
		if slices.Contains(signedHeaders(a), "via") {
			t.Error("Via is signed")
		}
	}
	if names = slices.Compact(names); len(names) != 1 {
		t.Errorf("one process has the names %q", names)
	}
	another := start(t, setup{})
	another.get(t, "/key")
	if got := another.upstream.only(t).wire().Get("Via"); strings.Contains(got, names[0]) {
		t.Error("two processes have one name")
	}
}
