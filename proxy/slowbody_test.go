package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// slowBodies are requests whose announced body is not sent.
var slowBodies = map[string]string{
	"10 bytes":         "PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n",
	"half of 10 bytes": "PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf.",
	"a list of keys":   "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n<Delete>",
	"a body in chunks": "POST /key?uploads HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nh",
	"a large form":     "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 70000\r\n\r\n--b\r\n",
}

// Clients that do not send their announced body hold neither a slot nor a place in the
// queue.
func TestSlowBody_OthersServed(t *testing.T) {
	for name, request := range slowBodies {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{options: func(o *proxy.Options) {
				o.Limits.Requests, o.Limits.Queued, o.Limits.StallTimeout = 2, -1, time.Hour
			}})
			var slow []*client
			for range 2 {
				c := r.dial(t)
				c.send(request)
				slow = append(slow, c)
			}
			synctest.Wait()
			if rep := r.get(t, "/key"); rep.status != http.StatusOK {
				t.Errorf("a download got\n%s%s", rep.head, rep.body)
			}
			if name != "a large form" && name != "a body in chunks" { // which take the memory of two bodies
				if rep := r.exchange(t, "PUT /key HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest"); rep.status != http.StatusOK {
					t.Errorf("an upload got\n%s%s", rep.head, rep.body)
				}
			}
			for _, c := range slow {
				c.Close()
			}
			synctest.Wait()
		})
	}
}

// The memory for buffered bodies is limited. Short bodies need little of it.
func TestSlowBody_MemoryLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{options: func(o *proxy.Options) {
			o.Limits.Requests, o.Limits.Queued, o.Limits.StallTimeout = 1, 1, time.Hour
		}})
		var slow []*client
		for _, length := range []int{64 << 10, 64<<10 - 10*512} {
			c := r.dial(t)
			c.send(fmt.Sprintf("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", length))
			slow = append(slow, c)
		}
		for range 10 {
			c := r.dial(t)
			c.send(slowBodies["10 bytes"])
			slow = append(slow, c)
		}
		synctest.Wait()
		const upload = "PUT /key HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest"
		rep := r.exchange(t, upload)
		if doc := rep.cosError(t); rep.status != http.StatusServiceUnavailable || doc.Code != "SlowDown" ||
			rep.header.Get("Retry-After") != "1" || !strings.Contains(doc.Message, "Limits.Requests") {
			t.Errorf("one too many got\n%s%s", rep.head, rep.body)
		}
		if m := r.metrics(t); !strings.Contains(m, `cosproxy_requests_rejected_total{reason="memory"} 1`) {
			t.Errorf("metrics:\n%s", m)
		}
		if rep := r.get(t, "/key"); rep.status != http.StatusOK {
			t.Errorf("a download got\n%s%s", rep.head, rep.body)
		}
		for _, c := range slow {
			c.Close()
		}
		synctest.Wait()
		if rep := r.exchange(t, upload); rep.status != http.StatusOK {
			t.Errorf("the memory is not given back:\n%s%s", rep.head, rep.body)
		}
	})
}

// The stall timer of a client that has sent its body does not run while the request is
// queued.
func TestSlowBody_SlotTakenAfterBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		response := make(chan struct{})
		r := crowd(t, response)
		first := r.ask(t)
		second := r.dial(t)
		second.send("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nte")
		time.Sleep(11 * time.Second) // longer than anybody waits in the queue
		if m := r.metrics(t); !strings.Contains(m, "cosproxy_requests_queued 0\n") {
			t.Errorf("it waits for a slot without its body:\n%s", m)
		}
		second.send("st")
		synctest.Wait()
		if m := r.metrics(t); !strings.Contains(m, "cosproxy_requests_queued 1\n") {
			t.Errorf("it does not wait for a slot:\n%s", m)
		}
		close(response)
		for _, c := range []*client{first, second} {
			if rep := c.reply("PUT"); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		}
	})
}
