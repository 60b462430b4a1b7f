package main

import (
	"net"
	"slices"
	"sync"
	"time"
)

// minConnAge is the time that each connection has before a new one may replace it. It is
// enough for a response while the accept loop waits, and short enough to get rid of
// thousands of connections per second.
const minConnAge = 10 * time.Millisecond

// replacingLimit limits the number of open connections of several listeners together. At
// the limit, a new connection replaces the oldest one. It suits listeners whose responses
// take milliseconds: connections that are held open cannot keep out a probe.
type replacingLimit struct {
	limit  int
	closed chan struct{} // receives a value when a connection ended; buffered, one element

	mu   sync.Mutex
	open []*replaceableConn // oldest first
}

func newReplacingLimit(limit int) *replacingLimit {
	return &replacingLimit{limit: limit, closed: make(chan struct{}, 1)}
}

func (r *replacingLimit) listener(inner net.Listener) net.Listener {
	return replacingListener{inner, r}
}

// add registers c when there are fewer connections than the limit. Until then it waits for
// one to end, and closes the oldest one when that is old enough.
func (r *replacingLimit) add(c *replaceableConn) {
	for {
		oldest := r.tryAdd(c)
		if oldest == nil {
			return
		}
		wait := time.NewTimer(minConnAge - time.Since(oldest.accepted))
		select {
		case <-r.closed:
		case <-wait.C:
			_ = oldest.Close() // its server also closes it and gets the error
		}
		wait.Stop()
	}
}

// tryAdd registers c and returns nil, or returns the oldest connection at the limit.
func (r *replacingLimit) tryAdd(c *replaceableConn) (oldest *replaceableConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) >= r.limit {
		return r.open[0]
	}
	c.accepted = time.Now()
	r.open = append(r.open, c)
	return nil
}

func (r *replacingLimit) remove(c *replaceableConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.open, c); i >= 0 {
		r.open = slices.Delete(r.open, i, i+1)
	}
	select {
	case r.closed <- struct{}{}:
	default: // add has not received the last one yet
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
	c := &replaceableConn{Conn: inner, limit: l.limit}
	l.limit.add(c)
	return c, nil
}

type replaceableConn struct {
	net.Conn
	limit    *replacingLimit
	accepted time.Time
}

// Close implements net.Conn.
func (c *replaceableConn) Close() error {
	c.limit.remove(c)
	return c.Conn.Close()
}
