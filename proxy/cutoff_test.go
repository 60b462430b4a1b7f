package proxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// COS dies in the middle of an upload whose client makes a pause: net/http
// notices only when it reads on from the client.
func TestCOSThatDiesWhileTheClientPauses(t *testing.T) {
	for _, up := range uploads[1:] {
		handle := func(a *arrival) {
			_, _ = io.ReadFull(a.Body, make([]byte, 4))
			a.conn.Close()
		}
		bubble(t, up.name, func(t *testing.T) {
			r := startInBubble(t, setup{handle: handle})
			c := r.dial(t)
			c.background(up.first)
			if rep := c.reply("PUT"); rep.status < 400 {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if log := r.drained(t); strings.Count(log, "msg=request") != 1 {
				t.Errorf("log: %s", log)
			}
		})
	}
}

var errCut = errors.New("cut off by the test")

// A server that is cut off says so, wherever its requests are.
func TestServerThatIsCutOff(t *testing.T) {
	requests := map[string]string{"no body": noBody}
	for _, up := range uploads {
		requests[up.name] = up.first
	}
	for name, request := range requests {
		bubble(t, name, func(t *testing.T) {
			base, cut := context.WithCancelCause(context.Background())
			r := startInBubble(t, setup{base: base, handle: func(a *arrival) {
				_ = a.readBody()
				a.waitGone()
			}})
			c := r.dial(t)
			c.send(request)
			synctest.Wait()
			begun := time.Now()
			cut(errCut)
			rep := c.reply("PUT")
			if rep.status != http.StatusServiceUnavailable || rep.cosError(t).Code != "ServiceUnavailable" || rep.header.Get("Retry-After") != "1" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited != 0 {
				t.Errorf("answered after %s", waited)
			}
			checkCause(t, r, rep.body, errCut.Error())
		})
	}
}

func TestDownloadThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, cut := context.WithCancelCause(context.Background())
		r := startInBubble(t, setup{base: base, handle: func(a *arrival) {
			a.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			a.waitGone()
		}})
		c := r.dial(t)
		c.send(noBody)
		c.head()
		cut(errCut)
		if rest := c.end(); rest != "half" {
			t.Errorf("the client got %q", rest)
		}
		checkCause(t, r, "", errCut.Error())
	})
}

// A refusal in the middle of a body does not keep the server from going.
func TestPausedClientDoesNotHoldTheServer(t *testing.T) {
	for _, up := range uploads {
		s := setup{options: func(o *proxy.Options) { o.Routes[0].Prefixes = []string{"dir/*"} }}
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
