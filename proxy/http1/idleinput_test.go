package http1

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
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

// lateConn is a connection whose read deadlines pass at once if late is set, as on a
// machine that is too busy to run the reader in time.
type lateConn struct {
	*net.TCPConn
	late *atomic.Bool
}

// SetReadDeadline implements net.Conn.
func (c *lateConn) SetReadDeadline(t time.Time) error {
	if c.late.Load() {
		t = pastDeadline
	}
	return c.TCPConn.SetReadDeadline(t)
}

func TestStream_HasInputAfterDeadline(t *testing.T) {
	config, pool := testCertificate()
	sent := make(chan struct{})
	u, _ := startOrigin(t, config, func(o *originConn) {
		o.request()
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
		<-sent
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra")
		_, _ = io.Copy(io.Discard, o.Conn)
	})
	var late atomic.Bool
	c := newTestClient(t, ClientOptions{Origin: u, TLS: &tls.Config{RootCAs: pool}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lateConn{conn.(*net.TCPConn), &late}, nil
	}})
	c.wantResponse(c.call("GET", "/", ""), 200, "first")
	s := c.idle[0].stream
	if s.hasInput() {
		t.Fatal("the connection has input before the origin sent any")
	}
	close(sent)
	late.Store(true)
	eventually(t, "input on the connection", s.hasInput)
}
