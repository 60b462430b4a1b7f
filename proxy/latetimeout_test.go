package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const requestTimeout = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// impatient closes pooled connections with 408 when the next request arrives.
func impatient() func(*arrival) {
	var served sync.Map
	return func(a *arrival) {
		if _, kept := served.LoadOrStore(a.conn, true); kept {
			a.respond(requestTimeout)
			a.conn.Close()
			return
		}
		take(a)
	}
}

// A 408 that crosses a request on a pooled connection does not concern that request.
// COS has not processed it, so any request may be retried.
func TestLateTimeout_Retried(t *testing.T) {
	large, _ := sized("PUT /key", 100_000)
	for _, request := range []string{
		noBody,
		knownLength,
		"POST /key?append&position=0 HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest",
		"POST /key?uploads HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		large,
		half[1].request + half[1].rest,
	} {
		bubble(t, request[:min(len(request), 40)], func(t *testing.T) {
			r := startInBubble(t, setup{handle: impatient()})
			r.get(t, "/first")
			if rep := r.exchange(t, request); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if n := len(r.upstream.seen()); n != 3 {
				t.Errorf("%d requests reached the upstream, want 3", n)
			}
		})
	}
}

// All idle connections may end like this at the same time.
func TestLateTimeout_ManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startKeeping(t, 8, impatient())
		if rep := r.get(t, "/key"); rep.status != http.StatusOK {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
	})
}

// If the retry budget is exhausted, the error still does not blame the client.
func TestLateTimeout_NoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		statuses := make(map[int]int)
		r := startInBubble(t, setup{handle: impatient()})
		for range 150 {
			statuses[r.get(t, "/first").status]++
			statuses[r.exchange(t, "POST /key?append&position=0 HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest").status]++
		}
		if statuses[http.StatusRequestTimeout] != 0 || statuses[http.StatusBadGateway] == 0 || statuses[http.StatusOK] < 200 {
			t.Errorf("statuses %v", statuses)
		}
	})
}

// On a new connection, or about a body that COS has begun to read, the 408 is
// forwarded.
func TestLateTimeout_OfThisRequest(t *testing.T) {
	r := start(t, setup{handle: raw(requestTimeout)})
	if rep := r.get(t, "/key"); rep.status != http.StatusRequestTimeout {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	r.upstream.only(t)

	large, _ := sized("PUT /key", 100_000)
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: inTurn(take, func(a *arrival) {
			_, _ = io.ReadFull(a.Body, make([]byte, 4))
			a.respond(requestTimeout)
			a.conn.Close()
		})})
		r.get(t, "/first")
		c := r.dial(t)
		c.background(large)
		if rep := c.reply("PUT"); rep.status != http.StatusRequestTimeout {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if n := len(r.upstream.seen()); n != 2 {
			t.Errorf("%d requests reached the upstream, want 2", n)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		header   string
		attempts int
		least    time.Duration // of the pause
	}{
		"seconds":               {"Retry-After: 2", 3, 4 * time.Second},
		"too many seconds":      {"Retry-After: 3", 1, 0},
		"date":                  {"Retry-After: " + date(2*time.Second), 2, 2 * time.Second},
		"late date":             {"Retry-After: " + date(time.Minute), 1, 0},
		"past date":             {"Retry-After: " + date(-time.Minute), 3, 0},
		"date of another clock": {"Date: " + date(time.Hour) + "\r\nRetry-After: " + date(time.Hour+2*time.Second), 3, 4 * time.Second},
		"late by another clock": {"Date: " + date(-time.Hour) + "\r\nRetry-After: " + date(time.Second), 1, 0},
		"neither":               {"Retry-After: soon", 3, 0},
		"nothing":               {"X: y", 3, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{handle: raw("HTTP/1.1 503 Slow Down\r\n" + tt.header + "\r\nContent-Length: 0\r\n\r\n")})
			begun := time.Now()
			rep := r.get(t, "/key")
			if waited := time.Since(begun); waited < tt.least || waited > tt.least+time.Second {
				t.Errorf("response after %s, want %s", waited, tt.least)
			}
			n := len(r.upstream.seen())
			if tt.attempts == 2 && n == 3 { // the date has passed by then
				n = 2
			}
			if n != tt.attempts || rep.status != http.StatusServiceUnavailable {
				t.Errorf("%d attempts, want %d; status %d", n, tt.attempts, rep.status)
			}
			if after, sent := strings.CutPrefix(tt.header, "Retry-After: "); sent && rep.header.Get("Retry-After") != after {
				t.Errorf("the client was told to come back after %q", rep.header.Get("Retry-After"))
			}
		})
	}
}
