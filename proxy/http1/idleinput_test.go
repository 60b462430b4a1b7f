package http1

import (
	"crypto/tls"
	"io"
	"testing"
	"time"
)

// Unsolicited bytes are not mistaken for a response, whether they arrive together with the
// previous response or later.
func TestClient_UnsolicitedResponse(t *testing.T) {
	const first = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
	const unsolicited = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra"
	config, pool := testCertificate()
	for name, pause := range map[string]time.Duration{"together": 0, "later": 20 * time.Millisecond} {
		for scheme, server := range map[string]*tls.Config{"plain": nil, "TLS": config} {
			t.Run(name+", "+scheme, func(t *testing.T) {
				u, conns := startOrigin(t, server, func(o *originConn) {
					if o.request() == nil {
						return
					}
					if pause == 0 {
						o.send(first + unsolicited)
					} else {
						o.send(first)
						time.Sleep(pause)
						o.send(unsolicited)
					}
					_, _ = io.Copy(io.Discard, o.Conn)
				})
				c := newTestClient(t, ClientOptions{Origin: u, TLS: &tls.Config{RootCAs: pool}})
				for range 4 {
					call := c.call("GET", "/", "")
					call.Repeat = func() bool { return true }
					c.wantResponse(call, 200, "first")
					time.Sleep(pause + 20*time.Millisecond)
				}
				if n := conns.Load(); n != 4 {
					t.Errorf("%d connections for 4 requests, want one each", n)
				}
			})
		}
	}
}
