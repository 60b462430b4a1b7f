package proxy

import (
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// maxConnAge is how long a connection to COS is used at most, so that a name that
// moves is noticed under load too. Each connection lives for a random time between
// four fifths of it and the whole, so that not all end at once.
const maxConnAge = 5 * time.Minute

// upstreamConn is a connection to COS.
//
// It makes net/http send a request body in large pieces: its body writer hands the
// body to ReadFrom where the connection has one. Over TLS it has none, and bodies
// go in pieces of 32 KiB, two records each.
type upstreamConn struct {
	net.Conn
	expires time.Time // from then on it takes one more request

	mu      sync.Mutex
	lost    error    // what ended it
	watcher *attempt // nil unless it carries a body from a client
}

func newUpstreamConn(c net.Conn) *upstreamConn {
	return &upstreamConn{Conn: c, expires: time.Now().Add(maxConnAge - rand.N(maxConnAge/5))}
}

// upstreamConnOf returns the connection to COS under c, which may have TLS on it;
// nil if c is of another transport.
func upstreamConnOf(c net.Conn) *upstreamConn {
	for {
		switch under := c.(type) {
		case *upstreamConn:
			return under
		case *tls.Conn:
			c = under.NetConn()
		default:
			return nil
		}
	}
}

// watch tells a when COS closes or resets the connection, or net/http closes it.
// net/http itself reports neither while it waits for the next bytes of a body.
func (c *upstreamConn) watch(a *attempt) {
	c.mu.Lock()
	c.watcher = a
	lost := c.lost
	c.mu.Unlock()
	if lost != nil {
		a.connLost(lost)
	}
}

// unwatch ends the watch, unless the connection carries another request already.
func (c *upstreamConn) unwatch(a *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watcher == a {
		c.watcher = nil
	}
}

func (c *upstreamConn) markLost(cause error) {
	c.mu.Lock()
	if c.lost != nil {
		c.mu.Unlock()
		return
	}
	c.lost = cause
	watcher := c.watcher
	c.mu.Unlock()
	if watcher != nil {
		watcher.connLost(cause)
	}
}

// Read implements net.Conn.
func (c *upstreamConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.markLost(err)
	}
	return n, err
}

// Close implements net.Conn.
func (c *upstreamConn) Close() error {
	c.markLost(net.ErrClosed)
	return c.Conn.Close()
}

// ReadFrom implements io.ReaderFrom.
func (c *upstreamConn) ReadFrom(r io.Reader) (int64, error) {
	length := int64(-1)
	if body, ok := r.(*io.LimitedReader); ok {
		length = body.N
	}
	buf, release := getBuffer(length)
	defer release()
	return io.CopyBuffer(onlyWriter{c.Conn}, r, buf)
}

// onlyWriter hides the ReadFrom of a TCP connection, which would copy through
// a smaller buffer.
type onlyWriter struct{ io.Writer }
