package http1

import (
	"math/rand/v2"
	"slices"
	"time"
)

// clientConn is one connection to the origin. One exchange uses it at a time.
type clientConn struct {
	client *Client
	stream *stream
	reader reader
	resp   Response
	slow   slowSource

	used    bool      // it has carried a request before
	heard   bool      // a head has come in this exchange
	retire  time.Time // when it is too old
	idleFor time.Time // since when it is idle
}

func newClientConn(c *Client, s *stream) *clientConn {
	age := float64(c.o.MaxAge) * (0.8 + 0.2*rand.Float64())
	cc := &clientConn{client: c, stream: s, retire: time.Now().Add(time.Duration(age))}
	cc.reader.src = s
	cc.slow.conn = cc
	return cc
}

// get returns an idle connection that is alive, as far as that shows without
// waiting; nil if there is none.
func (c *Client) get() *clientConn {
	for {
		cc := c.pop()
		if cc == nil || cc.usable(time.Now()) {
			return cc
		}
		cc.stream.close()
	}
}

// usable reports whether cc can carry a request: it is young enough, and nothing has
// arrived on it since the last response.
func (cc *clientConn) usable(now time.Time) bool {
	if now.After(cc.retire) || now.Sub(cc.idleFor) >= cc.client.o.IdleTimeout || cc.reader.buffered() > 0 {
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

// put keeps a connection whose exchange has ended properly.
func (c *Client) put(cc *clientConn) {
	now := time.Now()
	cc.used, cc.idleFor = true, now
	if !c.keep(cc, now) {
		cc.stream.close()
	}
}

// keep makes cc an idle connection, unless it is too old or there are too many. Closing
// a TLS connection can block, so that is done without the lock, here and below.
func (c *Client) keep(cc *clientConn, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= c.o.MaxIdle || now.After(cc.retire) {
		return false
	}
	c.idle = append(c.idle, cc)
	if c.sweep == nil {
		c.sweep = time.AfterFunc(c.o.IdleTimeout, c.sweepIdle)
	}
	return true
}

func closeAll(conns []*clientConn) {
	for _, cc := range conns {
		cc.stream.close()
	}
}

// sweepIdle closes what has been idle for IdleTimeout, and comes again.
func (c *Client) sweepIdle() { closeAll(c.takeExpired()) }

func (c *Client) takeExpired() []*clientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, n := time.Now(), 0
	for n < len(c.idle) && now.Sub(c.idle[n].idleFor) >= c.o.IdleTimeout {
		n++
	}
	expired := slices.Clone(c.idle[:n])
	c.idle = slices.Delete(c.idle, 0, n)
	if len(c.idle) == 0 {
		c.sweep = nil
	} else {
		c.sweep.Reset(max(c.o.IdleTimeout-now.Sub(c.idle[0].idleFor), time.Millisecond))
	}
	return expired
}

// CloseIdle closes the connections that are not in use.
func (c *Client) CloseIdle() { closeAll(c.takeIdle()) }

func (c *Client) takeIdle() []*clientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.idle
	c.idle = nil
	if c.sweep != nil {
		c.sweep.Stop()
		c.sweep = nil
	}
	return idle
}

// Close closes the connections that are not in use, and the others as soon as
// their exchanges end.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.CloseIdle()
}
