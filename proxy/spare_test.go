package proxy_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"cosproxy/proxy"
)

const spareCOS = bucket + ".cos." + region + ".tencentcos.cn"

// startSpare starts a rig that reaches the main host at its upstream and the spare host
// at the second one. down makes the main host refuse connections.
func startSpare(t *testing.T, down bool, main, spare func(*arrival), change func(*proxy.Options)) (*rig, *upstream) {
	t.Helper()
	creds := newCredentials(1)
	second := newUpstream(t, listen(t), creds, spare)
	r := start(t, setup{creds: creds, handle: main, options: func(o *proxy.Options) {
		first := o.Upstream.ConnectTo
		if down {
			ln := listen(t)
			first = ln.Addr().String()
			ln.Close()
		}
		o.Upstream.ConnectTo, o.Upstream.SpareDomain = "", true
		o.Upstream.Proxy = func(u *url.URL) (*url.URL, error) {
			to := first
			if u.Host == spareCOS {
				to = second.listener.Addr().String()
			}
			return &url.URL{Scheme: "http", Host: to}, nil
		}
		if change != nil {
			change(o)
		}
	}})
	return r, second
}

// respondWith reads the body and responds.
func respondWith(raw string) func(*arrival) {
	return func(a *arrival) {
		if a.readBody() == nil {
			a.respond(raw)
		}
	}
}

func TestSpareDomain_HostFailure(t *testing.T) {
	const get, put, create = "GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody",
		"POST /key?uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
	upload := fmt.Sprintf("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat("x", 1<<20))
	empty := func(status, fields string) func(*arrival) {
		return respondWith("HTTP/1.1 " + status + "\r\n" + fields + "Content-Length: 0\r\n\r\n")
	}
	drop := func(a *arrival) { _ = a.readBody(); a.conn.Close() }
	const id = "x-cos-request-id: id\r\n"
	for _, tt := range []struct {
		name    string
		request string
		down    bool
		main    func(*arrival)
		status  int
		spare   int // requests that reached the spare host
	}{
		{"no connection, GET", get, true, nil, 200, 1},
		{"no connection, PUT", put, true, nil, 200, 1},
		{"no connection, streamed PUT", upload, true, nil, 200, 1},
		{"no connection, POST", create, true, nil, 200, 1}, // nothing was sent
		{"connection lost, GET", get, false, drop, 200, 1},
		{"connection lost, POST", create, false, drop, 502, 0},
		{"503 of another server", get, false, empty("503 Unavailable", ""), 200, 1},
		{"501 of another server", get, false, empty("501 Not Implemented", ""), 200, 1},
		{"503 of another server, POST", create, false, empty("503 Unavailable", ""), 503, 0},
		{"503 of another server, Retry-After", get, false, empty("503 Unavailable", "Retry-After: 600\r\n"), 200, 1},
		{"302 of another server", get, false, empty("302 Found", "Location: http://portal.example\r\n"), 200, 1},
		{"302 of COS", get, false, empty("302 Found", id+"Location: http://origin.example\r\n"), 302, 0},
		{"304 of another server", get, false, empty("304 Not Modified", ""), 304, 0},
		{"404 of another server", get, false, empty("404 Not Found", ""), 404, 0},
		{"503 of COS", get, false, empty("503 Slow Down", id), 503, 0},
		{"200", get, false, nil, 200, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, spare := startSpare(t, tt.down, tt.main, nil, nil)
			if got := r.exchange(t, tt.request); got.status != tt.status {
				t.Errorf("status %d, want %d", got.status, tt.status)
			}
			seen := spare.seen()
			if len(seen) != tt.spare {
				t.Fatalf("%d requests reached the spare host, want %d", len(seen), tt.spare)
			}
			for _, a := range seen {
				if a.Host != spareCOS {
					t.Errorf("Host %s at the spare host", a.Host)
				}
			}
		})
	}
}

func TestSpareDomain_Remembered(t *testing.T) {
	r, spare := startSpare(t, true, nil, nil, nil)
	for range 3 {
		if got := r.get(t, "/key"); got.status != http.StatusOK {
			t.Fatalf("status %d", got.status)
		}
	}
	if n := len(spare.seen()); n != 3 {
		t.Errorf("%d requests reached the spare host, want 3", n)
	}
	if m := r.metrics(t); !strings.Contains(m, `cosproxy_retries_total{reason="connection"} 1`) {
		t.Errorf("later requests tried the main host again:\n%s", m)
	}
	if log := r.drained(t); strings.Count(log, "requests go to the spare domain") != 1 {
		t.Errorf("want one warning in the log:\n%s", log)
	}
}

// Both hosts fail: the client gets an error, and the main host is tried first again.
func TestSpareDomain_BothFail(t *testing.T) {
	r, spare := startSpare(t, false, func(a *arrival) { a.conn.Close() }, func(a *arrival) { a.conn.Close() }, nil)
	for range 2 {
		if got := r.get(t, "/key"); got.status != http.StatusBadGateway {
			t.Fatalf("status %d, want 502", got.status)
		}
	}
	if main, second := len(r.upstream.seen()), len(spare.seen()); main != 4 || second != 2 {
		t.Errorf("%d requests at the main host and %d at the spare host, want 4 and 2", main, second)
	}
}

func TestSpareDomain_SpareFailsLater(t *testing.T) {
	var down, spareDown atomic.Bool
	down.Store(true)
	fail := func(broken *atomic.Bool) func(*arrival) {
		return func(a *arrival) {
			if broken.Load() {
				a.conn.Close()
				return
			}
			a.respond(ok)
		}
	}
	r, spare := startSpare(t, false, fail(&down), fail(&spareDown), nil)
	r.get(t, "/first")
	down.Store(false)
	spareDown.Store(true)
	for _, key := range []string{"/second", "/third"} {
		if got := r.get(t, key); got.status != http.StatusOK {
			t.Errorf("%s: status %d", key, got.status)
		}
	}
	if main, second := len(r.upstream.seen()), len(spare.seen()); main != 3 || second != 3 {
		// The spare host fails on the kept connection and on a new one.
		t.Errorf("%d requests at the main host and %d at the spare host, want 3 and 3", main, second)
	}
}

func TestSpareDomain_ResumedDownload(t *testing.T) {
	const head = "x-cos-request-id: id\r\nETag: \"e\"\r\n"
	first := func(a *arrival) {
		if a.Header.Get("Range") == "" {
			a.respond("HTTP/1.1 200 OK\r\n" + head + "Content-Length: 10\r\n\r\n01234")
		}
		a.conn.Close()
	}
	second := func(a *arrival) {
		a.respond("HTTP/1.1 206 Partial Content\r\n" + head + "Content-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789")
	}
	r, spare := startSpare(t, false, first, second, nil)
	if got := r.get(t, "/key"); got.body != "0123456789" {
		t.Errorf("body %q", got.body)
	}
	if n := len(spare.seen()); n != 1 {
		t.Errorf("%d requests reached the spare host, want 1", n)
	}
}

// A response of the main host to a request from before its failure does not count.
func TestSpareDomain_LateResponse(t *testing.T) {
	slow, release := make(chan struct{}), make(chan struct{})
	r, spare := startSpare(t, false, func(a *arrival) {
		if a.URL.Path == "/slow" {
			close(slow)
			<-release
			a.respond(ok)
			return
		}
		a.conn.Close()
	}, nil, nil)
	result := make(chan int)
	go func() { result <- r.get(t, "/slow").status }()
	<-slow
	r.get(t, "/first")
	close(release)
	if status := <-result; status != http.StatusOK {
		t.Errorf("slow request: status %d", status)
	}
	before := len(r.upstream.seen())
	r.get(t, "/second")
	if len(r.upstream.seen()) != before || len(spare.seen()) != 2 {
		t.Error("the late response sent requests to the main host again")
	}
}

func TestSpareDomain_Off(t *testing.T) {
	for name, change := range map[string]func(*proxy.Options){
		"by default":       func(o *proxy.Options) { o.Upstream.SpareDomain = false },
		"another endpoint": func(o *proxy.Options) { o.Routes[0].Endpoint = "http://cos.example" },
		"accelerated":      func(o *proxy.Options) { o.Routes[0].Endpoint = "http://{bucket}.cos.accelerate.myqcloud.com" },
	} {
		t.Run(name, func(t *testing.T) {
			r, spare := startSpare(t, true, nil, nil, change)
			if got := r.get(t, "/key"); got.status != http.StatusBadGateway {
				t.Errorf("status %d, want 502", got.status)
			}
			if n := len(spare.seen()); n != 0 {
				t.Errorf("%d requests reached the spare host", n)
			}
		})
	}
}
