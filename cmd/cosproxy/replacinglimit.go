package main

import (
	"net"
	"slices"
	"sync"
)

// replacingLimit limits the number of open connections of several listeners together. At
// the limit, a new connection replaces the oldest one. It suits listeners whose responses
// take milliseconds: connections that are held open cannot keep out a probe.
type replacingLimit struct {
	limit int

	mu   sync.Mutex
	open []*replaceableConn // oldest first
}

func newReplacingLimit(limit int) *replacingLimit { return &replacingLimit{limit: limit} }

func (r *replacingLimit) listener(inner net.Listener) net.Listener {
	return replacingListener{inner, r}
}

// add registers c and closes the oldest connection if there are more than the limit.
func (r *replacingLimit) add(c *replaceableConn) {
	r.mu.Lock()
	r.open = append(r.open, c)
	var oldest *replaceableConn
	if len(r.open) > r.limit {
		oldest = r.open[0]
	}
	r.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close() // its server also closes it and gets the error
	}
}

func (r *replacingLimit) remove(c *replaceableConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.open, c); i >= 0 {
		r.open = slices.Delete(r.open, i, i+1)
	}
}

type replacingListener struct {
	net.Listener
	limit *replacingLimit
}

// Accept implements net.Listener.
func (l replacingListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &replaceableConn{inner, l.limit}
	l.limit.add(c)
	return c, nil
}

type replaceableConn struct {
	net.Conn
	limit *replacingLimit
}

// Close implements net.Conn.
func (c *replaceableConn) Close() error {
	c.limit.remove(c)
	return c.Conn.Close()
}
