package http1

import (
	"math/rand/v2"
	"slices"
	"time"
)

// clientConn is one connection to the origin. One exchange uses it at a time.
type clientConn struct {
	client     *Client
	stream     *stream
	reader     reader
	resp       Response
	slowSource slowBodySource

	used      bool      // it carried an earlier request
	gotHead   bool      // a head, also of an interim response, came in this exchange
	retireAt  time.Time // the end of its random maximum age
	idleSince time.Time
}

func newClientConn(c *Client, s *stream) *clientConn {
	age := float64(c.o.MaxAge) * (0.8 + 0.2*rand.Float64())
	cc := &clientConn{client: c, stream: s, retireAt: time.Now().Add(time.Duration(age))}
	cc.reader.src = s
	cc.slowSource.conn = cc
	return cc
}

// get returns a usable idle connection, or nil. It does not wait.
func (c *Client) get() *clientConn {
	for {
		cc := c.pop()
		if cc == nil || cc.usable(time.Now()) {
			return cc
		}
		cc.stream.close()
	}
}

// usable reports whether cc can carry a request: it is not too old, and nothing has
// arrived since the last response.
func (cc *clientConn) usable(now time.Time) bool {
	if now.After(cc.retireAt) || now.Sub(cc.idleSince) >= cc.client.o.IdleTimeout || cc.reader.buffered() > 0 {
		return false
	}
	return !cc.stream.hasInput()
}

func (c *Client) pop() *clientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.idle)
	if n == 0 {
		return nil
	}
	cc := c.idle[n-1]
	c.idle[n-1] = nil
	c.idle = c.idle[:n-1]
	return cc
}

// put returns a connection to the pool, or closes it.
func (c *Client) put(cc *clientConn) {
	now := time.Now()
	cc.used, cc.idleSince = true, now
	if !c.keep(cc, now) {
		cc.stream.close()
	}
}

// keep adds cc to the idle connections unless it is too old or there are too many. The
// caller closes it otherwise, without the lock: closing a TLS connection can block. The
// functions below release the lock before closing, too.
func (c *Client) keep(cc *clientConn, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= c.o.MaxIdle || now.After(cc.retireAt) {
		return false
	}
	c.idle = append(c.idle, cc)
	if c.sweepTimer == nil {
		c.sweepTimer = time.AfterFunc(c.o.IdleTimeout, c.sweepIdle)
	}
	return true
}

func closeAll(conns []*clientConn) {
	for _, cc := range conns {
		cc.stream.close()
	}
}

// sweepIdle closes connections that were idle for IdleTimeout. sweepTimer runs it.
func (c *Client) sweepIdle() { closeAll(c.takeExpired()) }

func (c *Client) takeExpired() []*clientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, n := time.Now(), 0
	for n < len(c.idle) && now.Sub(c.idle[n].idleSince) >= c.o.IdleTimeout {
		n++
	}
	expired := slices.Clone(c.idle[:n])
	c.idle = slices.Delete(c.idle, 0, n)
	if len(c.idle) == 0 {
		c.sweepTimer = nil
	} else {
		c.sweepTimer.Reset(max(c.o.IdleTimeout-now.Sub(c.idle[0].idleSince), time.Millisecond))
	}
	return expired
}

// CloseIdle closes all idle connections.
func (c *Client) CloseIdle() { closeAll(c.takeIdle()) }

func (c *Client) takeIdle() []*clientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.idle
	c.idle = nil
	if c.sweepTimer != nil {
		c.sweepTimer.Stop()
		c.sweepTimer = nil
	}
	return idle
}

// Close closes all idle connections, and each other connection when its exchange ends.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.CloseIdle()
}
