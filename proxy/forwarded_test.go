package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

func TestReadBody_Rejected(t *testing.T) {
	r := start(t, setup{})
	for _, line := range []string{"GET /key", "HEAD /key", "GET /", "GET /?prefix=a", "GET /key?acl"} {
		for framing, body := range map[string]string{
			"Content-Length: 4": "test", "Transfer-Encoding: chunked": "4\r\ntest\r\n0\r\n\r\n",
			"Transfer-Encoding: Chunked": "1;x=y\r\na\r\n0\r\n\r\n",
		} {
			rep := r.exchange(t, line+" HTTP/1.1\r\n"+framing+"\r\n\r\n"+body)
			if strings.HasPrefix(line, "HEAD") {
				if rep.status != http.StatusBadRequest {
					t.Errorf("%s with %s: %d", line, framing, rep.status)
				}
				continue
			}
			if doc := r.refused(t, rep, http.StatusBadRequest, "InvalidRequest"); !strings.Contains(doc.Message, "The GET request has a body") {
				t.Errorf("%s with %s: %s", line, framing, doc.Message)
			}
		}
	}
}

// Some clients announce a length of zero, or send only the last chunk. The connection
// stays open.
func TestReadBody_EmptyIgnored(t *testing.T) {
	for _, method := range []string{"GET", "HEAD"} {
		for framing, body := range map[string]string{
			"Content-Length: 0": "", "Transfer-Encoding: chunked": "0\r\n\r\n", "Transfer-Encoding:  chunked": "000;a=b\r\nX-Cos-Acl: private\r\n\r\n",
		} {
			t.Run(method+" "+framing, func(t *testing.T) {
				r := start(t, setup{})
				c := r.dial(t)
				for range 2 {
					c.send(method + " /key HTTP/1.1\r\nHost: localhost\r\n" + framing + "\r\n\r\n" + body)
					if rep := c.reply(method); rep.status != http.StatusOK {
						t.Fatalf("status %d: %s", rep.status, rep.body)
					}
				}
				for _, a := range r.upstream.seen() {
					if wire := a.wire(); wire["Content-Length"] != nil || wire["Transfer-Encoding"] != nil || wire["X-Cos-Acl"] != nil || len(a.Trailer) > 0 {
						t.Errorf("arrived as\n%s", a.head)
					}
				}
			})
		}
	}
}

// Such a request ends like any other with a stalled body.
func TestReadBody_NeverArrives(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Limits.StallTimeout = 100 * time.Millisecond }})
	rep := r.exchange(t, "GET /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
	r.refused(t, rep, http.StatusBadRequest, "RequestTimeout")
}
