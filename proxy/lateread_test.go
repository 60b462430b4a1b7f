package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// asksLate is a transport that looks whether there is more of the body only after
// the answer has come, as net/http's may.
type asksLate struct{ base http.RoundTripper }

func (t asksLate) RoundTrip(req *http.Request) (*http.Response, error) {
	body := req.Body
	if body == nil {
		return t.base.RoundTrip(req)
	}
	out := req.Clone(req.Context())
	out.Body = io.NopCloser(io.LimitReader(body, req.ContentLength))
	resp, err := t.base.RoundTrip(out)
	if err == nil {
		go func() {
			time.Sleep(time.Second)
			_, _ = body.Read(make([]byte, 1))
		}()
	}
	return resp, err
}

// A look at the body that comes late changes no checksum, and has no long answer
// taken for a stall of the body.
func TestLateReadOfABody(t *testing.T) {
	for name, request := range map[string]string{
		"object": fmt.Sprintf("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", 100_000, strings.Repeat("x", 100_000)),
		"form":   post("/", "", field("key", "a")+file("f", strings.Repeat("x", 100_000)+closing)),
	} {
		bubble(t, name, func(t *testing.T) {
			r := startInBubble(t, setup{
				options: func(o *proxy.Options) { o.Transport = asksLate{o.Transport} },
				handle: func(a *arrival) {
					if a.readBody() != nil {
						return
					}
					a.answer("HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: " + fmt.Sprint(crc(strings.Repeat("x", 100_000))) + "\r\nContent-Length: 5\r\n\r\n")
					for range 5 {
						time.Sleep(stall - time.Second)
						a.answer(" ")
					}
				},
			})
			c := r.dial(t)
			c.background(request)
			if rep := c.reply("POST"); rep.status != http.StatusOK || rep.body != "     " {
				t.Errorf("got\n%s%s (%v)", rep.head, rep.body, rep.err)
			}
			synctest.Wait()
		})
	}
}
