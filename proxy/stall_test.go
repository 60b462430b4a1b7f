package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
	"cosproxy/signer"
)

// stall is the StallTimeout in these tests. Most run in a synctest bubble, where
// waiting takes no time.
const stall = 10 * time.Second

// bubble runs a test in a synctest bubble. Its rig is in memory.
func bubble(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// startInBubble starts a rig whose StallTimeout is stall.
func startInBubble(t *testing.T, s setup) *rig {
	t.Helper()
	change := s.options
	s.inMemory = true
	s.options = func(o *proxy.Options) {
		o.Limits.StallTimeout = stall
		if change != nil {
			change(o)
		}
	}
	return start(t, s)
}

// uploads are one body with every kind of framing: buffered, and streamed with known or
// unknown length.
var uploads = []struct{ name, first, rest string }{
	{"small", "PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf", "half"},
	{"large", half[0].request, half[0].rest},
	{"chunked", half[1].request, half[1].rest},
}

// background sends bytes that an upstream in memory may never read.
func (c *client) background(raw string) {
	go func() { _, _ = io.WriteString(c, raw) }()
}

func TestStall_ClientStopsSending(t *testing.T) {
	cases := slices.Clone(uploads)
	for _, up := range uploads {
		head, _, _ := strings.Cut(up.first, "\r\n\r\n")
		up.name, up.first = up.name+", header only", head+"\r\n\r\n"
		cases = append(cases, up)
	}
	for _, up := range cases {
		var seen error
		handle := func(a *arrival) { seen = a.readBody() }
		bubble(t, up.name, func(t *testing.T) {
			r := startInBubble(t, setup{handle: handle})
			c := r.dial(t)
			begun := time.Now()
			c.send(up.first)
			rep := c.reply("PUT")
			if rep.status != http.StatusBadRequest || rep.cosError(t).Code != "RequestTimeout" || rep.header.Get("Connection") != "close" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited != stall {
				t.Errorf("response after %s, want %s", waited, stall)
			}
			if log := r.drained(t); !strings.Contains(log, "http.response.status_code=400") || strings.Contains(log, "level=ERROR") {
				t.Errorf("log: %s", log)
			}
			synctest.Wait()                                                                   // for COS to have seen it
			small := strings.HasPrefix(up.name, "small") || up.name == "chunked, header only" // so far it may be
			if n := len(r.upstream.seen()); small && n != 0 {
				t.Errorf("%d requests reached the upstream", n)
			} else if !small && !errors.Is(seen, io.ErrUnexpectedEOF) {
				t.Errorf("COS saw the upload end with %v", seen)
			}
		})
	}
}

// slowly is each kind of upload with its body in pieces of n bytes.
func slowly(n int) map[string][]string {
	piece := strings.Repeat("x", n)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", n, piece)
	head := "PUT /key HTTP/1.1\r\nHost: localhost\r\n"
	return map[string][]string{
		"small":   {fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, 5*n), piece, piece, piece, piece, piece},
		"large":   {head + "Content-Length: 102400\r\n\r\n", piece, piece, piece, piece, strings.Repeat("x", 102400-4*n)},
		"chunked": {head + "Transfer-Encoding: chunked\r\n\r\n", chunk, chunk, chunk, chunk, "0\r\n\r\n"},
	}
}

// A slow body that makes progress is not stalled.
func TestStall_SlowClientContinues(t *testing.T) {
	for name, pieces := range slowly(1 << 10) {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{})
			c := r.dial(t)
			c.send(pieces[0])
			for _, piece := range pieces[1:] {
				time.Sleep(stall - time.Second)
				c.send(piece)
			}
			if rep := c.reply("PUT"); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		})
	}
}

// A client that sends a byte now and then to hold a slot is treated as stalled.
func TestStall_DrippingClient(t *testing.T) {
	for name, pieces := range slowly(200) {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{})
			c := r.dial(t)
			begun := time.Now()
			c.send(pieces[0])
			var dripping sync.WaitGroup
			dripping.Go(func() {
				for _, piece := range pieces[1:] {
					time.Sleep(3 * stall / 10)
					if _, err := io.WriteString(c, piece); err != nil {
						return
					}
				}
			})
			rep := c.reply("PUT")
			if rep.status != http.StatusBadRequest || rep.cosError(t).Code != "RequestTimeout" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited != stall {
				t.Errorf("response after %s, want %s", waited, stall)
			}
			c.Close()
			dripping.Wait()
		})
	}
}

// COS reads the header and part of the body, and then nothing more.
func TestStall_COSStopsReading(t *testing.T) {
	small, _ := sized("PUT /key", 60<<10)
	tests := []struct {
		name, request string
		taken         int64
	}{
		{"small", small, 0},
		{"small, half taken", small, 30 << 10},
		{"large, next to nothing taken", half[0].request + half[0].rest, 1},
		{"large, half taken", half[0].request + half[0].rest, 50 << 10},
		{"large, nearly all taken", half[0].request + half[0].rest, 90 << 10},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			never := make(chan struct{})
			r := startInBubble(t, setup{handle: func(a *arrival) {
				_, _ = io.CopyN(io.Discard, a.Body, tt.taken)
				<-never
			}})
			t.Cleanup(func() { close(never) })
			c := r.dial(t)
			begun := time.Now()
			c.background(tt.request)
			rep := c.reply("PUT")
			if rep.status != http.StatusGatewayTimeout || rep.cosError(t).Code != "GatewayTimeout" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited != stall {
				t.Errorf("response after %s, want %s", waited, stall)
			}
			checkCause(t, r, rep.body, "stalled")
		})
	}
}

// The same over sockets, whose buffers accept much more than COS reads.
func TestStall_COSStopsReadingSocket(t *testing.T) {
	never := make(chan struct{})
	r := start(t, setup{
		options: func(o *proxy.Options) { o.Limits.StallTimeout = 300 * time.Millisecond },
		handle:  func(*arrival) { <-never },
	})
	t.Cleanup(func() { close(never) })
	c := r.dial(t)
	c.send("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n")
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.CopyN(c, zeros{}, 1<<30)
	}()
	if rep := c.reply("PUT"); rep.status != http.StatusGatewayTimeout || rep.cosError(t).Code != "GatewayTimeout" {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	c.Close()
	<-written
}

// After COS has received the complete body, only StallTimeout limits its processing.
func TestStall_SlowCOSContinues(t *testing.T) {
	const responseTimeout = stall
	for _, up := range uploads {
		for _, work := range []time.Duration{responseTimeout - time.Second, responseTimeout + time.Second} {
			handle := func(a *arrival) {
				_ = a.readBody()
				time.Sleep(work)
				a.respond(ok)
			}
			s := setup{handle: handle}
			bubble(t, fmt.Sprint(up.name, " ", work), func(t *testing.T) {
				r := startInBubble(t, s)
				c := r.dial(t)
				c.send(up.first + up.rest)
				rep := c.reply("PUT")
				if work < responseTimeout && rep.status != http.StatusOK {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
				if work > responseTimeout && (rep.status != http.StatusGatewayTimeout || !strings.Contains(rep.body, "did not respond in time")) {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
			})
		}
	}
}

// A slow credential source is not a stall.
func TestStall_SlowCredentialsContinue(t *testing.T) {
	for _, up := range uploads {
		s := setup{options: func(o *proxy.Options) {
			o.Routes[0].Credentials = slowCredentials{o.Routes[0].Credentials.(*stubCredentials)}
		}}
		bubble(t, up.name, func(t *testing.T) {
			r := startInBubble(t, s)
			c := r.dial(t)
			c.background(up.first + up.rest)
			if rep := c.reply("PUT"); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		})
	}
}

type slowCredentials struct{ *stubCredentials }

func (k slowCredentials) Credentials(ctx context.Context) (signer.Credentials, error) {
	time.Sleep(2 * stall)
	return k.stubCredentials.Credentials(ctx)
}

func TestStall_DownloadStops(t *testing.T) {
	for name, response := range map[string]string{
		"known length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
		"chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"header only":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		handle := func(a *arrival) {
			a.respond(response)
			a.waitGone()
		}
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{handle: handle})
			c := r.dial(t)
			begun := time.Now()
			c.send(noBody)
			c.head()
			if rest := c.end(); strings.Contains(rest, "0\r\n\r\n") || strings.Contains(rest, "half") != strings.Contains(response, "half") {
				t.Errorf("the client got %q", rest)
			}
			if waited := time.Since(begun); waited != stall {
				t.Errorf("ended after %s, want %s", waited, stall)
			}
			checkCause(t, r, "", "stalled")
			if !strings.Contains(r.metrics(t), "cosproxy_responses_aborted_total 1\n") {
				t.Error("it is not counted")
			}
		})
	}
}

// COS sends blanks while it completes an upload; each restarts the timeout.
func TestStall_SlowDownloadContinues(t *testing.T) {
	handle := func(a *arrival) {
		a.respond("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
		for range 5 {
			time.Sleep(stall - time.Second)
			a.respond(" ")
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: handle})
		if rep := r.get(t, "/key"); rep.body != "     " {
			t.Errorf("got %q (%v)", rep.body, rep.err)
		}
	})
}

func TestStall_ClientStopsReading(t *testing.T) {
	var blocked error
	handle := func(a *arrival) {
		a.respond("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
		_, blocked = io.CopyN(a.conn, zeros{}, 1<<30)
	}
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: handle})
		c := r.dial(t)
		begun := time.Now()
		c.send(noBody)
		c.head()
		r.drained(t) // which waits for the exchange
		if waited := time.Since(begun); waited < stall || waited > 2*stall {
			t.Errorf("ended after %s, want %s", waited, stall)
		}
		if log := r.log.String(); !strings.Contains(log, "stalled") || !strings.Contains(log, "level=INFO") { // it is the client's fault
			t.Errorf("log: %s", log)
		}
		synctest.Wait()
		if blocked == nil {
			t.Error("the complete body was read from COS")
		}
	})
}

// A client that sends requests and never reads loses its slot and its connection, for
// any responses.
func TestStall_ClientNeverReads(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\n"
	responses := map[string]string{
		"chunked, empty": head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked":        head + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"known length":   head + "Content-Length: 1\r\n\r\nx",
		"empty":          head + "Content-Length: 0\r\n\r\n",
		"of our own":     "",
	}
	for name, response := range responses {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{
				options: func(o *proxy.Options) { o.Limits.Requests, o.Limits.Queued = 1, -1 },
				handle:  func(a *arrival) { a.respond(response) },
			})
			request := "GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n"
			if response == "" {
				request = "GET /key HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"
			}
			c := r.dial(t)
			c.background(strings.Repeat(request, 10_000))
			time.Sleep(2 * stall)
			c.end() // which fails if the connection is kept
			response = head + "Content-Length: 0\r\n\r\n"
			if rep := r.get(t, "/key"); rep.status != http.StatusOK {
				t.Errorf("another client got\n%s%s", rep.head, rep.body)
			}
		})
	}
}
