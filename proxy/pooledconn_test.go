package proxy_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// nat is a middlebox that can drop the state of its connections: they carry no more
// packets, not even a FIN.
type nat struct {
	age   atomic.Int64
	conns sync.Map // to their age
}

func (n *nat) forget() { n.age.Add(1) }

func (n *nat) handle(a *arrival) {
	if age, _ := n.conns.LoadOrStore(a.conn, n.age.Load()); age != n.age.Load() {
		a.waitGone()
		return
	}
	take(a)
}

// startForgotten starts a rig with a dead pooled connection.
func startForgotten(t *testing.T, options func(*proxy.Options)) *rig {
	t.Helper()
	var n nat
	r := startInBubble(t, setup{handle: n.handle, options: options})
	r.get(t, "/first")
	n.forget()
	return r
}

// startKeeping starts a rig with conns pooled connections.
func startKeeping(t *testing.T, conns int, handle func(*arrival)) *rig {
	t.Helper()
	together := make(chan struct{})
	r := startInBubble(t, setup{handle: func(a *arrival) {
		if a.URL.Path == "/first" {
			<-together
		}
		handle(a)
	}})
	var clients sync.WaitGroup
	for range conns {
		clients.Go(func() { r.get(t, "/first") })
	}
	synctest.Wait()
	close(together)
	clients.Wait()
	return r
}

func TestPooledConnection_SilentReplaced(t *testing.T) {
	large, _ := sized("PUT /key", 100_000)
	for request, wait := range map[string]time.Duration{
		"GET /key HTTP/1.1\r\n\r\n":                    5 * time.Second,
		"GET /?prefix=a HTTP/1.1\r\n\r\n":              5 * time.Second,
		"GET /key?response-expires=x HTTP/1.1\r\n\r\n": 5 * time.Second,
		"HEAD /key HTTP/1.1\r\n\r\n":                   5 * time.Second,
		// As long as COS may take to agree. Then the body would be lost.
		large:                          time.Second,
		half[1].request + half[1].rest: time.Second,
	} {
		bubble(t, request[:min(len(request), 30)], func(t *testing.T) {
			r := startForgotten(t, nil)
			begun := time.Now()
			if rep := r.exchange(t, request); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited != wait {
				t.Errorf("response after %s, want %s", waited, wait)
			}
			if n := len(r.upstream.seen()); n != 3 {
				t.Errorf("%d requests reached the upstream, want 3", n)
			}
			if m := r.metrics(t); !strings.Contains(m, "cosproxy_retries_total{reason=\"silence\"} 1\n") {
				t.Error("it is not counted")
			}
		})
	}
}

// A server that supports Expect gets the same time as for other requests. If its pool
// were dropped whenever it takes a second, it would get slower.
func TestPooledConnection_ExpectSupported(t *testing.T) {
	large, _ := sized("PUT /key", 100_000)
	synctest.Test(t, func(t *testing.T) {
		var n nat
		slow := false
		r := startInBubble(t, setup{handle: func(a *arrival) {
			if slow {
				time.Sleep(5*time.Second - 1)
			}
			n.handle(a)
		}})
		for range 2 {
			r.exchange(t, large)
			slow = true
		}
		if n := len(r.upstream.seen()); n != 2 {
			t.Errorf("slow: %d requests reached the upstream, want 2", n)
		}
		slow = false
		n.forget()
		begun := time.Now()
		if rep := r.exchange(t, large); rep.status != http.StatusOK {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if waited := time.Since(begun); waited != 5*time.Second {
			t.Errorf("response after %s, want 5 s", waited)
		}
	})
}

// The wait depends on a short StallTimeout.
func TestPooledConnection_ShortStallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startForgotten(t, func(o *proxy.Options) { o.Limits.StallTimeout = 3 * time.Second })
		begun := time.Now()
		r.get(t, "/key")
		if waited := time.Since(begun); waited != 1500*time.Millisecond {
			t.Errorf("response after %s", waited)
		}
	})
}

// Requests that are not idempotent, or that COS processes for long, get the full time
// on their connection.
func TestPooledConnection_NotRepeated(t *testing.T) {
	medium, _ := sized("PUT /key", 60_000)
	for _, request := range []string{
		// COS may be slow and not gone; carried out later, these undo what comes after.
		"DELETE /key HTTP/1.1\r\n\r\n",
		"PUT /key HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		medium,
		"POST /?delete HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest",
		"PUT /key?partNumber=1&uploadId=u HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest",
		post("/", "", field("key", "a")+file("f", "x"+closing)),
		"POST /key?append&position=0 HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest",
		"POST /key?uploads HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"PUT /key HTTP/1.1\r\nIf-None-Match: *\r\nContent-Length: 4\r\n\r\ntest",
		"PUT /key HTTP/1.1\r\nx-cos-copy-source: " + cosHost + "/from\r\nContent-Length: 0\r\n\r\n",
		"PUT /key?partNumber=1&uploadId=u HTTP/1.1\r\nx-cos-copy-source: " + cosHost + "/from\r\nContent-Length: 0\r\n\r\n",
		"PUT /key HTTP/1.1\r\nPic-Operations: {}\r\nContent-Length: 4\r\n\r\ntest",
		"GET /key?imageMogr2/thumbnail/10x HTTP/1.1\r\n\r\n",
		"GET /key?ci-process=snapshot&time=1 HTTP/1.1\r\n\r\n",
		"HEAD /key?imageInfo HTTP/1.1\r\n\r\n",
		post("/", "", field("key", "a")+field("Pic-Operations", "{}")+file("f", "x"+closing)),
	} {
		bubble(t, request[:min(len(request), 60)], func(t *testing.T) {
			r := startForgotten(t, nil)
			begun := time.Now()
			if rep := r.exchange(t, request); rep.status != http.StatusGatewayTimeout {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited < stall {
				t.Errorf("given up after %s", waited)
			}
			if n := len(r.upstream.seen()); n != 2 {
				t.Errorf("%d requests reached the upstream, want 2", n)
			}
		})
	}
}

// One request detects the dead connections for all others.
func TestPooledConnection_PoolDropped(t *testing.T) {
	const conns = 8
	synctest.Test(t, func(t *testing.T) {
		var n nat
		r := startKeeping(t, conns, n.handle)
		n.forget()
		begun := time.Now()
		for range 2 * conns {
			if rep := r.get(t, "/key"); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		}
		if waited := time.Since(begun); waited != 5*time.Second {
			t.Errorf("%d requests took %s, want 5 s", 2*conns, waited)
		}
		if n := len(r.upstream.seen()); n != conns+1+2*conns {
			t.Errorf("%d requests reached the upstream", n)
		}
	})
}

// A new connection gets the full time: it is not dead if it is silent.
func TestNewConnection_SilentNotReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: func(a *arrival) { a.waitGone() }})
		begun := time.Now()
		if rep := r.get(t, "/key"); rep.status != http.StatusGatewayTimeout {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if waited := time.Since(begun); waited != stall {
			t.Errorf("given up after %s", waited)
		}
		r.upstream.only(t)
	})
}

// The second attempt is the last, even on a dead connection.
func TestPooledConnection_RepeatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: func(a *arrival) {
			if a.URL.Path == "/first" {
				take(a)
				return
			}
			a.waitGone()
		}})
		r.get(t, "/first")
		if rep := r.get(t, "/key"); rep.status != http.StatusGatewayTimeout {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if n := len(r.upstream.seen()); n != 3 {
			t.Errorf("%d requests reached the upstream, want 3", n)
		}
	})
}

// The same if the second attempt gets a connection that has just become idle.
func TestPooledConnection_RepeatedOnceOnAnyConnection(t *testing.T) {
	large, _ := sized("PUT /key", 100_000)
	for request, slow := range map[string]time.Duration{noBody: 7 * time.Second, large: 3 * time.Second} {
		bubble(t, request[:3], func(t *testing.T) {
			k, inMemory := newCredentials(1), newPipes()
			up := newUpstream(t, inMemory, k, func(a *arrival) {
				switch a.URL.Path {
				case "/none", "/key":
					a.waitGone()
					return
				case "/slow":
					time.Sleep(slow)
				}
				take(a)
			})
			slowly := func(ctx context.Context, network, addr string) (net.Conn, error) {
				time.Sleep(2 * time.Second)
				return inMemory.dial(ctx, network, addr)
			}
			r := start(t, setup{creds: k, inMemory: true, options: func(o *proxy.Options) {
				o.Limits.StallTimeout = stall
				o.Upstream = proxy.Upstream{ConnectTo: inMemory.Addr().String(), Dial: slowly}
			}})
			var other sync.WaitGroup
			other.Go(func() { r.get(t, "/slow") })
			time.Sleep(time.Second)
			r.get(t, "/first") // dialed from 1 s to 3 s; the other ends before a third dial
			if rep := r.exchange(t, request); rep.status != http.StatusGatewayTimeout {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			other.Wait()
			if n := len(up.seen()); n != 4 {
				t.Errorf("%d requests reached the upstream, want 4", n)
			}
		})
	}
}

// A slow pooled connection is not abandoned: its first byte shows that it is alive.
func TestPooledConnection_SlowNotReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: inTurn(take, func(a *arrival) {
			time.Sleep(5*time.Second - 1)
			a.respond("HTTP/1.1 200 OK\r\n")
			time.Sleep(4 * time.Second)
			a.respond("Content-Length: 1\r\n\r\n")
			time.Sleep(9 * time.Second)
			a.respond("x")
		})})
		r.get(t, "/first")
		if rep := r.get(t, "/key"); rep.body != "x" {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if n := len(r.upstream.seen()); n != 2 {
			t.Errorf("%d requests reached the upstream, want 2", n)
		}
	})
}

// Dead connections do not cause more retries than the budget allows.
func TestPooledConnection_RetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n nat
		r := startInBubble(t, setup{handle: n.handle})
		const requests = 150
		failed := 0
		r.get(t, "/first")
		for range requests {
			n.forget()
			if rep := r.get(t, "/key"); rep.status != http.StatusOK {
				failed++
				r.get(t, "/first")
			}
		}
		if repeated := requests - failed; repeated < 100 || repeated > 100+requests/5 {
			t.Errorf("%d requests were repeated, want 100 and a tenth more", repeated)
		}
	})
}

// The request that checks credentials is sent again too.
func TestPooledConnection_Probe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n nat
		r := startInBubble(t, setup{handle: n.handle})
		r.upstream.probed = true
		r.get(t, "/first")
		n.forget()
		begun := time.Now()
		large := post("/", "", field("key", "a")+file("f", strings.Repeat("x", 100_000)+closing))
		if rep := r.exchange(t, large); rep.status != http.StatusOK {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if waited := time.Since(begun); waited != 5*time.Second {
			t.Errorf("response after %s", waited)
		}
	})
}
