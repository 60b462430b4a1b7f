package proxy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sized is an upload with n bytes of a pattern in which lost or moved bytes are
// detected.
func sized(line string, n int) (request, body string) {
	buf := make([]byte, n)
	_, _ = (&sequence{}).Read(buf)
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", line, n, buf), string(buf)
}

// A body up to 64 KiB can be sent again after COS rejects the credentials.
func TestReplay_BufferedUpload(t *testing.T) {
	for _, rejection := range rejections {
		for _, line := range []string{"PUT /key", "PUT /key?partNumber=1&uploadId=u", "POST /?delete", "POST /key?append&position=0", "DELETE /key"} {
			t.Run(rejection.name+", "+line, func(t *testing.T) {
				r := start(t, setup{handle: perKey(1, rejection.response)})
				request, body := sized(line, 1000)
				if rep := r.exchange(t, request); rep.status != http.StatusOK {
					t.Fatalf("got\n%s%s", rep.head, rep.body)
				}
				checkTwice(t, r, body)
			})
		}
	}
}

// checkTwice checks that the same request arrived twice, the first time with rejected
// credentials.
func checkTwice(t *testing.T, r *rig, body string) {
	t.Helper()
	seen := r.upstream.seen()
	if len(seen) != 2 {
		t.Fatalf("%d attempts, want 2", len(seen))
	}
	for i, a := range seen {
		if string(a.body) != body || a.target() != seen[0].target() || a.ContentLength != int64(len(body)) {
			t.Errorf("attempt %d differs:\n%s%d bytes", i+1, a.head, len(a.body))
		}
	}
	if got := r.creds.rejected(); !slices.Equal(got, []string{"AKIDsentinel1"}) {
		t.Errorf("reported as rejected: %q", got)
	}
}

func TestReplay_Limit(t *testing.T) {
	for _, n := range []int{1, 64 << 10, 64<<10 + 1} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r := start(t, setup{handle: perKey(1, rejections[0].response)})
			request, body := sized("PUT /key", n)
			rep := r.exchange(t, request)
			if n <= 64<<10 {
				checkTwice(t, r, body)
				return
			}
			checkSame(t, rep, rejections[0].response)
			r.upstream.only(t)
		})
	}
}

// COS closes idle connections at any time. The proxy may notice only after it has sent
// the next request, here on every connection's second request.
func TestReplay_ClosedConnection(t *testing.T) {
	for _, line := range []string{"PUT /key", "DELETE /key", "PUT /key?partNumber=1&uploadId=u"} {
		for _, n := range []int{0, 1000, 64 << 10} {
			t.Run(fmt.Sprint(line, " ", n), func(t *testing.T) {
				request, body := sized(line, n)
				r := start(t, setup{handle: secondIsLost(t, body)})
				for range 10 {
					if rep := r.exchange(t, request); rep.status != http.StatusOK {
						t.Fatalf("got\n%s%s", rep.head, rep.body)
					}
				}
				for _, a := range r.upstream.seen() {
					if _, sent := a.wire()["X-Idempotency-Key"]; sent {
						t.Errorf("something was invented:\n%s", a.head)
					}
				}
			})
		}
	}
	t.Run("GET", func(t *testing.T) {
		r := start(t, setup{handle: secondIsLost(t, "")})
		for range 10 {
			if rep := r.get(t, "/key"); rep.status != http.StatusOK {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
		}
	})
}

// secondIsLost responds to the first request on a connection, and closes it after it
// has read the second. All uploads must have this body.
func secondIsLost(t *testing.T, body string) func(*arrival) {
	var served sync.Map
	return func(a *arrival) {
		if err := a.readBody(); err != nil || a.Method != http.MethodGet && string(a.body) != body {
			t.Errorf("arrived with %d bytes of %d (%v)", len(a.body), len(body), err)
		}
		if _, second := served.LoadOrStore(a.conn, true); second {
			a.conn.Close()
			return
		}
		a.respond(ok)
	}
}

// Requests that COS may have executed and that are not idempotent, or whose body is
// gone, are not retried.
func TestReplay_NotIdempotent(t *testing.T) {
	post, body := sized("POST /key?append&position=0", 1000)
	large, largeBody := sized("PUT /key", 64<<10+1)
	for name, tt := range map[string]struct{ request, body string }{
		"POST":      {post, body},
		"large PUT": {large, largeBody},
		"chunked":   {half[1].request + half[1].rest, strings.Repeat("half", 25601)},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: secondIsLost(t, tt.body)})
			r.exchange(t, noBody)
			if rep := r.exchange(t, tt.request); rep.status != http.StatusBadGateway || rep.cosError(t).Code != "BadGateway" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if n := len(r.upstream.seen()); n != 2 {
				t.Errorf("%d requests reached the upstream, want 2", n)
			}
		})
	}
}

// COS closes the connection right after each response, a race that the proxy sometimes
// loses.
func TestReplay_ConnectionClose(t *testing.T) {
	r := start(t, setup{handle: func(a *arrival) {
		_ = a.readBody()
		a.respond(ok)
		a.conn.Close()
	}})
	put, _ := sized("PUT /key", 100)
	c := r.dial(t)
	for i := range 200 {
		for _, request := range []string{put, "DELETE /key HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
			c.send(request)
			if rep := c.reply("PUT"); rep.status != http.StatusOK {
				t.Fatalf("request %d: %s\ngot\n%s%s", i, strings.Fields(request)[0], rep.head, rep.body)
			}
		}
	}
}
