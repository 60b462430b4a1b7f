package http1

import (
	"crypto/tls"
	"io"
	"testing"
	"time"
)

// Bytes that no request asked for are never taken for a response, whether they come
// with the response before or a little later.
func TestClient_StrayBytes(t *testing.T) {
	const first = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
	const stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY"
	config, pool := certificate()
	for name, pause := range map[string]time.Duration{"together": 0, "later": 20 * time.Millisecond} {
		for scheme, server := range map[string]*tls.Config{"plain": nil, "TLS": config} {
			t.Run(name+", "+scheme, func(t *testing.T) {
				u, conns := startOrigin(t, server, func(o *originConn) {
					if o.request() == nil {
						return
					}
					if pause == 0 {
						o.send(first + stray)
					} else {
						o.send(first)
						time.Sleep(pause)
						o.send(stray)
					}
					_, _ = io.Copy(io.Discard, o.Conn)
				})
				c := newTestClient(t, ClientOptions{Origin: u, TLS: &tls.Config{RootCAs: pool}})
				for range 4 {
					call := c.call("GET", "/", "")
					call.Repeat = func() bool { return true }
					c.want(call, 200, "first")
					time.Sleep(pause + 20*time.Millisecond)
				}
				if n := conns.Load(); n != 4 {
					t.Errorf("%d connections for 4 requests, want one each", n)
				}
			})
		}
	}
}
