package http1

import (
	"context"
	"net"
	"testing"
)

// slowClose is a connection whose Close blocks, like that of a TLS connection whose peer
// does not read.
type slowClose struct {
	net.Conn
	closing chan struct{}
	release chan struct{}
}

// Close implements net.Conn.
func (c *slowClose) Close() error {
	c.closing <- struct{}{}
	<-c.release
	return c.Conn.Close()
}

// A blocking Close does not block other requests.
func TestClient_SlowClose(t *testing.T) {
	u, _ := startOrigin(t, nil, (*originConn).echoAll)
	closing, release := make(chan struct{}, 9), make(chan struct{})
	c := newTestClient(t, ClientOptions{Origin: u, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &slowClose{conn, closing, release}, err
	}})
	c.wantResponse(c.call("GET", "/a", ""), 200, "GET /a ")
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.CloseIdle()
	}()
	within(t, "Close", closing)
	c.wantResponse(c.call("GET", "/b", ""), 200, "GET /b ")
	close(release)
	within(t, "CloseIdle", done)
}
