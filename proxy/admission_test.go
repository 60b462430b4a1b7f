package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// crowd starts a rig that has room for one request and for one that waits. COS
// answers a request when it is told to.
func crowd(t *testing.T, answer chan struct{}) *rig {
	t.Helper()
	return startInBubble(t, setup{
		options: func(o *proxy.Options) { o.Limits.Requests, o.Limits.Queued, o.Limits.StallTimeout = 1, 1, time.Hour },
		handle: func(a *arrival) {
			<-answer
			a.answer(ok)
		},
	})
}

// ask sends one request more, on a connection of its own.
func (r *rig) ask(t *testing.T) *client {
	t.Helper()
	c := r.dial(t)
	c.send(noBody)
	synctest.Wait()
	return c
}

func TestAdmission_QueueInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		r := crowd(t, answer)
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

		answer <- struct{}{}
		if rep := first.reply("GET"); rep.status != http.StatusOK {
			t.Errorf("the first got\n%s%s", rep.head, rep.body)
		}
		answer <- struct{}{}
		if rep := second.reply("GET"); rep.status != http.StatusOK {
			t.Errorf("the second got\n%s%s", rep.head, rep.body)
		}
		if m := r.metrics(t); !strings.Contains(m, "cosproxy_requests_queued 0\n") || !strings.Contains(m, `cosproxy_requests_refused_total{reason="queue_full"} 1`) {
			t.Errorf("metrics:\n%s", m)
		}
	})
}

func TestAdmission_QueueTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		r := crowd(t, answer)
		first := r.ask(t)
		begun := time.Now()
		rep := r.ask(t).reply("GET")
		if waited := time.Since(begun); rep.status != http.StatusServiceUnavailable || rep.cosError(t).Code != "SlowDown" || waited != 10*time.Second {
			t.Errorf("after %s got\n%s%s", waited, rep.head, rep.body)
		}
		if m := r.metrics(t); !strings.Contains(m, `cosproxy_requests_refused_total{reason="queue_timeout"} 1`) {
			t.Errorf("metrics:\n%s", m)
		}
		close(answer)
		first.reply("GET")
	})
}

func TestAdmission_QueueDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		r := startInBubble(t, setup{
			options: func(o *proxy.Options) { o.Limits.Requests, o.Limits.Queued = 1, -1 },
			handle:  func(a *arrival) { <-answer; a.answer(ok) },
		})
		c := r.ask(t)
		if n := len(r.upstream.seen()); n != 1 {
			t.Fatalf("%d requests are with COS, want 1", n)
		}
		if rep := r.get(t, "/key"); rep.status != http.StatusServiceUnavailable {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		close(answer)
		c.reply("GET")
	})
}

// A place in the queue is free again when its client leaves, and a slot however
// its request ends.
func TestAdmission_SlotsReleased(t *testing.T) {
	ends := map[string]func(*arrival){
		"answered":    func(a *arrival) { a.answer(ok) },
		"failed":      func(a *arrival) { a.conn.Close() },
		"cut short":   func(a *arrival) { a.answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf"); a.conn.Close() },
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
				a.answer(ok)
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
					t.Errorf("who left is still in the queue:\n%s", m)
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
