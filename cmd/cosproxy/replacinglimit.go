package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// minConnAge is the time that each connection has before a new one may replace it. It
	// is enough for a response while the accept loop waits, and short enough to get rid of
	// thousands of connections per second.
	minConnAge = 10 * time.Millisecond
	// minIssuerConnAge is minConnAge for clients that come over the network with TLS.
	minIssuerConnAge = time.Second
)

// replacingLimit limits the number of open connections of several listeners together. At
// the limit, a new connection replaces the oldest one. So connections that are held open
// cannot keep out a new client. A server whose responses may take longer than minAge needs
// connState, too.
type replacingLimit struct {
	limit  int
	minAge time.Duration // of a connection before a new one may replace it
	closed chan struct{} // receives a value when a connection ended; buffered, one element

	mu   sync.Mutex
	open []*replaceableConn // oldest first
}

func newReplacingLimit(limit int, minAge time.Duration) *replacingLimit {
	return &replacingLimit{limit: limit, minAge: minAge, closed: make(chan struct{}, 1)}
}

func (r *replacingLimit) listener(inner net.Listener) net.Listener {
	return replacingListener{inner, r}
}

// connState is a ConnState of http.Server: a connection with a request is not replaced. It
// is for servers that close each connection after the response.
func (r *replacingLimit) connState(c net.Conn, state http.ConnState) {
	if overTLS, ok := c.(*tls.Conn); ok {
		c = overTLS.NetConn()
	}
	if own, ok := c.(*replaceableConn); ok && state == http.StateActive {
		r.mu.Lock()
		own.busy = true
		r.mu.Unlock()
	}
}

// add registers c when there are fewer connections than the limit. Until then it waits for
// one to end, and closes the oldest one without a request when that is old enough.
func (r *replacingLimit) add(c *replaceableConn) {
	for !r.tryAdd(c) {
		oldest, wait := r.oldest()
		if wait <= 0 {
			_ = oldest.Close() // its server also closes it and gets the error
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-r.closed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// tryAdd registers c and reports success, unless the limit is reached.
func (r *replacingLimit) tryAdd(c *replaceableConn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) >= r.limit {
		return false
	}
	c.accepted = time.Now()
	r.open = append(r.open, c)
	return true
}

// oldest returns the oldest connection that has no request, nil if all have one, and how long
// to wait before it may be closed or another one may be found.
func (r *replacingLimit) oldest() (c *replaceableConn, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		if !c.busy {
			return c, r.minAge - time.Since(c.accepted)
		}
	}
	return nil, r.minAge
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
	busy     bool // it has a request; guarded by limit.mu
}

// Close implements net.Conn.
func (c *replaceableConn) Close() error {
	c.limit.remove(c)
	return c.Conn.Close()
}
