package proxy_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// COS closes the connection while the client pauses in the middle of its upload. The
// proxy must notice this before the client sends more.
func TestUpload_COSClosesWhileClientPauses(t *testing.T) {
	form := post("/", "", field("key", "a")+file("f", strings.Repeat("x", 100_000)+closing))
	tests := map[string]struct {
		request  string
		expected bool          // 100 Continue is sent
		wait     time.Duration // until the body is sent
	}{
		"large":                 {half[0].request, true, 0},
		"chunked":               {half[1].request, true, 0},
		"large, Expect ignored": {half[0].request, false, time.Second},
		"form":                  {form[:len(form)-1000], true, 0},
	}
	for name, tt := range tests {
		handle := func(a *arrival) {
			if e, ok := a.Body.(*expected); ok {
				e.asked = !tt.expected
			}
			_, _ = io.ReadFull(a.Body, make([]byte, 4))
			time.Sleep(time.Millisecond) // for the client's half to be taken
			a.conn.Close()
		}
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{handle: handle})
			c := r.dial(t)
			begun := time.Now()
			c.background(tt.request)
			checkDeadUpload(t, r, c, begun, tt.wait+10*time.Millisecond)
		})
	}
}

// The same over sockets: with a FIN, with a RST, and with a TLS close, which hides the
// FIN.
func TestUpload_COSClosesWhileClientPausesSockets(t *testing.T) {
	for name, die := range map[string]func(net.Conn){
		"FIN": func(c net.Conn) { c.Close() },
		"RST": func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				_, _ = io.ReadFull(a.Body, make([]byte, 4))
				time.Sleep(100 * time.Millisecond)
				die(a.conn)
			}})
			c := r.dial(t)
			begun := time.Now()
			c.send(half[0].request)
			checkDeadUpload(t, r, c, begun, 10*time.Second)
		})
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			r := startTLSUpstream(t, version, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 51200))
				if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
					c.Close() // with nothing left to read, so there is no RST
				}
			})
			c := r.dial(t)
			begun := time.Now()
			c.send(half[0].request)
			checkDeadUpload(t, r, c, begun, 10*time.Second)
		})
	}
}

// checkDeadUpload checks that the failure of COS is reported at once.
func checkDeadUpload(t *testing.T, r *rig, c *client, begun time.Time, limit time.Duration) {
	t.Helper()
	rep := c.reply("PUT")
	if rep.status != http.StatusBadGateway || rep.cosError(t).Code != "BadGateway" {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	if waited := time.Since(begun); waited > limit {
		t.Errorf("response after %s, want %s at most", waited, limit)
	}
	c.Close()
	if log := r.drained(t); strings.Count(log, "msg=request") != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "http.response.status_code=502") {
		t.Errorf("log: %s", log)
	}
}

// A closed server reports that it canceled the request, at every stage of the request.
func TestServerClose_CancelsRequests(t *testing.T) {
	requests := map[string]string{"no body": noBody}
	for _, up := range uploads {
		requests[up.name] = up.first
	}
	for name, request := range requests {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{handle: func(a *arrival) {
				_ = a.readBody()
				a.waitGone()
			}})
			c := r.dial(t)
			c.send(request)
			synctest.Wait()
			begun := time.Now()
			go r.server.Close()
			rep := c.reply("PUT")
			if rep.status != http.StatusServiceUnavailable || rep.cosError(t).Code != "ServiceUnavailable" || rep.header.Get("Retry-After") != "1" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited != 0 {
				t.Errorf("response after %s", waited)
			}
			checkCause(t, r, rep.body, "the server was closed")
		})
	}
}

func TestServerClose_CancelsDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: func(a *arrival) {
			a.respond("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			a.waitGone()
		}})
		c := r.dial(t)
		c.send(noBody)
		c.head()
		go r.server.Close()
		if rest := c.end(); rest != "half" {
			t.Errorf("the client got %q", rest)
		}
		checkCause(t, r, "", "the server was closed")
	})
}

// A rejected request whose body is incomplete does not delay a shutdown.
func TestServerClose_ClientPauses(t *testing.T) {
	for _, up := range uploads {
		s := setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }}
		bubble(t, up.name, func(t *testing.T) {
			r := startInBubble(t, s)
			c := r.dial(t)
			begun := time.Now()
			c.background(up.first)
			r.refused(t, c.reply("PUT"), http.StatusForbidden, "AccessDenied")
			r.drained(t)
			if waited := time.Since(begun); waited > 3*time.Second {
				t.Errorf("the server waited %s for a client that makes a pause", waited)
			}
		})
	}
}
