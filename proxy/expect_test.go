package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is a server that does not support Expect: it waits for the body.
func deaf(a *arrival) {
	if e, ok := a.Body.(*expected); ok {
		e.asked = true
	}
	take(a)
}

const expectationFailed = "HTTP/1.1 417 Expectation Failed\r\nServer: squid\r\nContent-Length: 0\r\n"

// largeUploads are uploads that are sent with Expect.
func largeUploads() map[string]string {
	known, _ := sized("PUT /key", 100_000)
	return map[string]string{"known length": known, "chunked": half[1].request + half[1].rest}
}

func checkExpects(t *testing.T, r *rig, want ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(r.metrics(t)) {
		if result, ok := strings.CutPrefix(line, "cosproxy_expect_total{result="); ok {
			got = append(got, strings.TrimSpace(result))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %q, want %q", got, want)
	}
}

// A server that ignores Expect delays one upload by a second, not every one. Expect is
// tried again later, because the server may change.
func TestExpect_IgnoredRemembered(t *testing.T) {
	for name, request := range largeUploads() {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{handle: deaf})
			for round := range 2 {
				begun := time.Now()
				for range 8 {
					if rep := r.exchange(t, request); rep.status != http.StatusOK {
						t.Fatalf("got\n%s%s", rep.head, rep.body)
					}
				}
				if waited := time.Since(begun); waited != time.Second {
					t.Errorf("round %d: 8 uploads took %s, want 1 s", round, waited)
				}
				time.Sleep(10 * time.Minute)
			}
			checkExpects(t, r, `"timeout"} 2`)
			for i, a := range r.upstream.seen() {
				if sent := a.wire().Get("Expect") != ""; sent != (i%8 == 0) {
					t.Errorf("upload %d: Expect %t", i, sent)
				}
			}
		})
	}
}

// A server that supports Expect may be late sometimes.
func TestExpect_LateNotIgnored(t *testing.T) {
	request := largeUploads()["known length"]
	synctest.Test(t, func(t *testing.T) {
		step := inTurn(take, deaf, deaf, take, deaf, deaf, deaf, take)
		r := startInBubble(t, setup{handle: func(a *arrival) {
			step(a)
			a.conn.Close() // or it could be the connection that is dead
		}})
		for range 8 {
			r.exchange(t, request)
			synctest.Wait()
		}
		for i, a := range r.upstream.seen() {
			if sent := a.wire().Get("Expect") != ""; sent != (i < 7) {
				t.Errorf("upload %d: Expect %t", i, sent)
			}
		}
		checkExpects(t, r, `"continue"} 2`, `"timeout"} 5`)
	})
}

// A 417 to an Expect that the client has not sent is never forwarded.
func TestExpect_RejectedRetriedWithout(t *testing.T) {
	for _, connection := range []string{"", "Connection: close\r\n"} {
		for name, request := range largeUploads() {
			t.Run(connection+name, func(t *testing.T) {
				r := start(t, setup{handle: func(a *arrival) {
					if a.wire().Get("Expect") != "" {
						a.respond(expectationFailed + connection + "\r\n")
						return
					}
					take(a)
				}})
				for range 2 {
					if rep := r.exchange(t, request); rep.status != http.StatusOK {
						t.Errorf("got\n%s%s", rep.head, rep.body)
					}
				}
				seen := r.upstream.seen()
				if len(seen) != 3 || len(seen[1].body) != len(seen[2].body) {
					t.Errorf("%d requests reached the upstream, want 3", len(seen))
				}
				checkExpects(t, r, `"early_verdict"} 1`)
			})
		}
	}
}

// It is not forwarded either after the body was sent, but then the upload fails.
func TestExpect_RejectedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, setup{handle: func(a *arrival) {
			a.Body.(*expected).asked = true
			_, _ = io.ReadFull(a.Body, make([]byte, 4))
			a.respond(expectationFailed + "Connection: close\r\n\r\n")
		}})
		c := r.dial(t)
		c.background(largeUploads()["known length"])
		if rep := c.reply("PUT"); rep.status != http.StatusBadGateway || rep.cosError(t).Code != "BadGateway" {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		r.upstream.only(t)
	})
}

// A 417 to a request without Expect has another cause and is forwarded.
func TestExpect_RejectedWithoutExpect(t *testing.T) {
	r := start(t, setup{handle: raw(expectationFailed + "\r\n")})
	if rep := r.exchange(t, knownLength); rep.status != http.StatusExpectationFailed {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	r.upstream.only(t)
}

func TestExpect_Counted(t *testing.T) {
	request := largeUploads()["known length"]
	r := start(t, setup{handle: inTurn(take, take, refuse(errorResponse(404, "NoSuchBucket", "")))})
	for range 3 {
		r.exchange(t, request)
	}
	r.exchange(t, knownLength) // goes without
	checkExpects(t, r, `"continue"} 2`, `"early_verdict"} 1`)
}

// COS closes the connection within its early response. No byte of the body was sent, so
// the upload is retried at once.
func TestExpect_EarlyVerdictTruncated(t *testing.T) {
	large, body := sized("PUT /key", 100_000)
	for _, verdict := range []string{"HTTP/1.1 5", "HTTP/1.1 100 Conti", ""} {
		bubble(t, fmt.Sprintf("%q", verdict), func(t *testing.T) {
			r := startInBubble(t, setup{handle: inTurn(func(a *arrival) {
				time.Sleep(500 * time.Millisecond)
				a.respond(verdict)
				a.conn.Close()
			}, take)})
			begun := time.Now()
			if rep := r.exchange(t, large); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited > 2*time.Second {
				t.Errorf("response after %s", waited)
			}
			seen := r.upstream.seen()
			if len(seen) != 2 || string(seen[1].body) != body {
				t.Errorf("%d requests reached the upstream", len(seen))
			}
		})
	}
}
