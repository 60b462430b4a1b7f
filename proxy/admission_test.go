package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// crowd starts a rig with one slot and a queue of one. COS responds to a request when
// the test sends to release.
func crowd(t *testing.T, release chan struct{}) *rig {
	t.Helper()
	return startInBubble(t, setup{
		options: func(o *proxy.Options) { o.Limits.Requests, o.Limits.Queued, o.Limits.StallTimeout = 1, 1, time.Hour },
		handle: func(a *arrival) {
			<-release
			a.respond(ok)
		},
	})
}

// ask sends one more request, on its own connection.
func (r *rig) ask(t *testing.T) *client {
	t.Helper()
	c := r.dial(t)
	c.send(noBody)
	synctest.Wait()
	return c
}

func TestAdmission_QueueInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := crowd(t, release)
		first, second := r.ask(t), r.ask(t)
		if n := len(r.upstream.seen()); n != 1 {
			t.Errorf("%d requests are with COS, want 1", n)
		}
		if m := r.metrics(t); !strings.Contains(m, "cosproxy_requests_queued 1\n") || !strings.Contains(m, "cosproxy_requests_in_flight 2\n") {
			t.Errorf("metrics:\n%s", m)
		}

		rep := r.ask(t).reply("GET") // at once
		doc := rep.cosError(t)
		if rep.status != http.StatusServiceUnavailable || doc.Code != "SlowDown" || rep.header.Get("Retry-After") != "1" || !strings.Contains(doc.Message, "Limits.Requests") {
			t.Errorf("the third got\n%s%s", rep.head, rep.body)
		}

		release <- struct{}{}
		if rep := first.reply("GET"); rep.status != http.StatusOK {
			t.Errorf("the first got\n%s%s", rep.head, rep.body)
		}
		release <- struct{}{}
		if rep := second.reply("GET"); rep.status != http.StatusOK {
			t.Errorf("the second got\n%s%s", rep.head, rep.body)
		}
		if m := r.metrics(t); !strings.Contains(m, "cosproxy_requests_queued 0\n") || !strings.Contains(m, `cosproxy_requests_rejected_total{reason="queue_full"} 1`) {
			t.Errorf("metrics:\n%s", m)
		}
	})
}

func TestAdmission_QueueTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := crowd(t, release)
		first := r.ask(t)
		begun := time.Now()
		rep := r.ask(t).reply("GET")
		if waited := time.Since(begun); rep.status != http.StatusServiceUnavailable || rep.cosError(t).Code != "SlowDown" || waited != 10*time.Second {
			t.Errorf("after %s got\n%s%s", waited, rep.head, rep.body)
		}
		if m := r.metrics(t); !strings.Contains(m, `cosproxy_requests_rejected_total{reason="queue_timeout"} 1`) {
			t.Errorf("metrics:\n%s", m)
		}
		close(release)
		first.reply("GET")
	})
}

func TestAdmission_QueueDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := startInBubble(t, setup{
			options: func(o *proxy.Options) { o.Limits.Requests, o.Limits.Queued = 1, -1 },
			handle:  func(a *arrival) { <-release; a.respond(ok) },
		})
		c := r.ask(t)
		if n := len(r.upstream.seen()); n != 1 {
			t.Fatalf("%d requests are with COS, want 1", n)
		}
		if rep := r.get(t, "/key"); rep.status != http.StatusServiceUnavailable {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		close(release)
		c.reply("GET")
	})
}

// A queue place is released when its client leaves, and a slot whenever its request
// ends.
func TestAdmission_SlotsReleased(t *testing.T) {
	ends := map[string]func(*arrival){
		"responded":   func(a *arrival) { a.respond(ok) },
		"failed":      func(a *arrival) { a.conn.Close() },
		"truncated":   func(a *arrival) { a.respond("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf"); a.conn.Close() },
		"never heard": func(a *arrival) { a.waitGone() },
	}
	for name, end := range ends {
		bubble(t, name, func(t *testing.T) {
			r := crowd(t, nil)
			r.upstream.handle = func(a *arrival) {
				if strings.HasPrefix(a.target(), "/bad") {
					end(a)
					return
				}
				a.respond(ok)
			}
			bad := r.dial(t)
			bad.send("PUT /bad HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
			if name == "never heard" {
				synctest.Wait()
				left := r.ask(t)
				synctest.Wait()
				left.Close()
				synctest.Wait()
				if m := r.metrics(t); !strings.Contains(m, "cosproxy_requests_queued 0\n") {
					t.Errorf("the client that left is still queued:\n%s", m)
				}
				bad.Close()
			} else {
				bad.end()
			}
			synctest.Wait()
			if rep := r.get(t, "/key"); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		})
	}
}
