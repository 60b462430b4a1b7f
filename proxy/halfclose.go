package proxy

import (
	"net"
	"os"
	"sync"
	"time"
)

// A client that sends a whole request and closes its sending side still waits for
// the response: the request is framed explicitly, not by the close (RFC 9112, 6.3).
// net/http reads on in the background while a handler runs, and cancels the request
// at the end of the connection. So this end is kept from it until it stops reading.

// isHalfClosed reports whether a request is being served of which the whole has come,
// so that the end of the connection is not the end of its body.
func (c *conn) isHalfClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active.Load() && c.framer.complete > c.served
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.deadline.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadline.set(t)
	return c.Conn.SetDeadline(t)
}

// deadline is a read deadline that can be waited for. The zero value is none.
type deadline struct {
	mu      sync.Mutex
	at      time.Time
	closed  bool
	changed chan struct{} // closed when at or closed changes; nil: nobody waits
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	d.wake()
}

// close ends the wait for good.
func (d *deadline) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.wake()
}

func (d *deadline) wake() {
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// wait returns what a read would that gets nothing: os.ErrDeadlineExceeded at the
// deadline, net.ErrClosed after close.
func (d *deadline) wait() error {
	for {
		d.mu.Lock()
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		at, closed, changed := d.at, d.closed, d.changed
		d.mu.Unlock()
		left := time.Until(at)
		switch {
		case closed:
			return net.ErrClosed
		case !at.IsZero() && left <= 0:
			return os.ErrDeadlineExceeded
		}
		var late <-chan time.Time
		if !at.IsZero() {
			late = time.After(left)
		}
		select {
		case <-changed:
		case <-late:
		}
	}
}
