package main

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// closableConn is a connection that records whether it was closed.
type closableConn struct {
	net.Conn
	closed atomic.Bool
}

func (c *closableConn) Close() error { c.closed.Store(true); return nil }

// listenerOf accepts the connections that it receives.
type listenerOf struct {
	net.Listener
	conns chan *closableConn
}

func (l listenerOf) Accept() (net.Conn, error) { return <-l.conns, nil }

// TestReplacingLimit opens more connections than the limit, on two listeners.
func TestReplacingLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, conns := newReplacingLimit(2, minConnAge), make(chan *closableConn)
		ls := []net.Listener{limit.listener(listenerOf{conns: conns}), limit.listener(listenerOf{conns: conns})}
		var clients []*closableConn
		var servers []net.Conn
		accept := func(waits time.Duration) {
			t.Helper()
			c := new(closableConn)
			clients = append(clients, c)
			go func() { conns <- c }()
			began := time.Now()
			server, err := ls[len(clients)%2].Accept()
			if took := time.Since(began); err != nil || took != waits {
				t.Errorf("connection %d was accepted after %v, want %v; %v", len(clients)-1, took, waits, err)
			}
			servers = append(servers, server)
		}
		open := func(want ...bool) {
			t.Helper()
			for i, c := range clients {
				if closed := c.closed.Load(); closed == want[i] {
					t.Errorf("connection %d of %d: closed is %t", i, len(clients), closed)
				}
			}
		}
		accept(0)
		accept(0)
		accept(minConnAge) // the first one may still get its response
		open(false, true, true)
		time.Sleep(minConnAge)
		accept(0)
		open(false, false, true, true)

		younger := servers[3]
		time.AfterFunc(minConnAge/2, func() { _ = younger.Close() })
		_ = servers[2].Close()
		accept(0)
		accept(minConnAge / 2) // one ended before the oldest is old enough
		open(false, false, false, false, true, true)

		for _, c := range servers {
			_ = c.Close() // for some, again
		}
		if len(limit.open) > 0 {
			t.Errorf("%d connections are counted after all were closed", len(limit.open))
		}
	})
}
