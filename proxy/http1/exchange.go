package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// Exchange is one request and its response. It is valid until the handler returns. Only
// the goroutine of the handler may use it, except where a method says otherwise.
type Exchange struct {
	// Request is the head of the request.
	Request RequestHead
	// Body is the body of the request. If the request has Expect: 100-continue, the
	// first Read sends 100 Continue.
	Body Body
	// Response writes the response. If the handler sends none, the connection is reset.
	Response ResponseWriter

	conn *serverConn
}

// Context is canceled when Server.Close is called, when the client resets the connection
// during Watch or during a slow response in Client.Do, and when the connection has ended.
func (x *Exchange) Context() context.Context { return x.conn.canceler.ctx }

// Canceler returns the canceler of Context, for Client.Do.
func (x *Exchange) Canceler() *Canceler { return x.conn.canceler }

// LocalAddr is the address that the client connected to.
func (x *Exchange) LocalAddr() net.Addr { return x.conn.stream.raw.LocalAddr() }

// CanReset reports whether the connection supports a reset. TCP does, a Unix socket does
// not. Only a reset lets the client tell an incomplete response of length LengthToClose
// from a complete one.
func (x *Exchange) CanReset() bool {
	_, ok := x.conn.stream.raw.(interface{ SetLinger(int) error })
	return ok
}

// TLS reports whether the client speaks TLS.
func (x *Exchange) TLS() bool { return x.conn.stream.tls != nil }

// Watch detects a reset by the client while the handler waits for something else, and
// cancels Context with ErrClientGone. The handler must call stop before it uses the
// exchange again.
func (x *Exchange) Watch() (stop func()) { return x.conn.watch() }

// InterruptBody makes blocked and later calls of Body.Read fail with cause. Any
// goroutine may call it.
func (x *Exchange) InterruptBody(cause error) { x.conn.stream.interrupt(cause, false) }

// serverConn is one connection of a Server.
type serverConn struct {
	server     *Server
	stream     *stream
	reader     reader
	headReader headReader
	canceler   *Canceler
	exchange   Exchange

	// idleSince is the time at which the connection became idle, in Unix nanoseconds.
	// Zero: it is in use. idleClosing: the server is closing it.
	idleSince atomic.Int64
	served    atomic.Bool // a request was read

	beforeBody func() error // the method value beginBody, made once
	watching   bool         // between watch and its stop
}

const idleClosing = -1

func newServerConn(s *Server, raw net.Conn) *serverConn {
	c := &serverConn{server: s, stream: newStream(raw, s.o.StallTimeout, MinProgress), canceler: newCanceler(context.Background())}
	c.reader.src = c.stream
	c.headReader.conn = c
	c.canceler.onSlow = c.watch
	c.beforeBody = c.beginBody
	c.exchange.conn = c
	c.exchange.Response.conn = c
	return c
}

// serve handles the requests of a connection until it ends.
func (c *serverConn) serve() {
	if c.server.o.TLS != nil && !c.handshake() {
		return
	}
	for {
		x := &c.exchange
		x.Response.reset()
		if err := c.readHead(); err != nil {
			c.reject(err)
			return
		}
		c.served.Store(true)
		x.Body.reset(&c.reader, x.Request.length, c.server.o.Limits)
		x.Body.beforeRead = c.beforeBody
		c.server.o.Handler(x)
		if !x.Response.finish() {
			return
		}
		c.stream.resumeUnlessClosed()
	}
}

func (c *serverConn) handshake() bool {
	c.stream.startTLS(func(raw net.Conn) *tls.Conn { return tls.Server(raw, c.server.o.TLS) })
	ctx, cancel := context.WithTimeout(c.canceler.ctx, c.server.o.HeaderTimeout)
	defer cancel()
	c.markIdle(time.Now()) // so that MaxConns can close a silent connection
	if c.isStoppedIdle() {
		return false
	}
	err := c.stream.tls.HandshakeContext(ctx)
	closing := c.clearIdle(err) && err != nil
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return true
	case errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader[:]):
		c.stream.conn, c.stream.tls = c.stream.raw, nil
		c.reject(Error{RulePlain, "the request is plain HTTP, but this address requires TLS"})
	case closing || c.canceler.ctx.Err() != nil || !c.stream.records.received:
		// The server closed the connection, or the client sent nothing, like a TCP probe.
	case c.server.o.HandshakeFailed != nil:
		c.server.o.HandshakeFailed(c.stream.raw.RemoteAddr(), err)
	}
	return false
}

// markIdle allows the server to close the connection.
func (c *serverConn) markIdle(now time.Time) { c.idleSince.Store(now.UnixNano()) }

// clearIdle undoes markIdle after a read that returned err. It reports whether the server
// was closing the connection. If the read succeeded nevertheless, the request wins and
// the connection continues.
func (c *serverConn) clearIdle(err error) (closing bool) {
	closing = c.idleSince.Swap(0) == idleClosing
	if closing && err == nil {
		c.server.awaitCloseIdle()
		c.stream.resume()
	}
	return closing
}

// looksLikeHTTP reports whether the first bytes of a connection could be a method in
// upper case and a space.
func looksLikeHTTP(beginning []byte) bool {
	for i, c := range beginning {
		if c == ' ' && i > 2 {
			return true
		}
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// maxEmptyLines is the maximum number of empty lines before a request (RFC 9112, 2.2).
const maxEmptyLines = 2

// readHead waits for the next request and reads its head.
func (c *serverConn) readHead() error {
	if c.reader.buffered() == 0 {
		if err := c.awaitRequest(); err != nil {
			return err
		}
	}
	h := &c.exchange.Request
	*h = RequestHead{Head: Head{Fields: h.Fields[:0], raw: h.raw, Minor: 1, framing: framing{close: true}}}
	// Usually the whole head is buffered. Otherwise headReader starts HeaderTimeout.
	c.headReader.started = false
	c.reader.src = &c.headReader
	raw, err := c.reader.readHead(h.raw[:0], c.server.o.Limits, maxEmptyLines)
	c.reader.src = c.stream
	h.raw = raw
	switch {
	case errors.Is(err, errHeadTimeout):
		return Error{RuleTimeout, "the head of the request did not arrive in time"}
	case err != nil:
		return err
	}
	return h.parse(c.server.o.Limits)
}

// awaitRequest waits for the first byte of a request on an idle connection.
func (c *serverConn) awaitRequest() error {
	now := time.Now()
	c.markIdle(now)
	if c.isStoppedIdle() {
		return ErrServerClosed
	}
	c.stream.extendReadDeadlineAt(waitRequest, c.server.o.IdleTimeout, now)
	c.server.signalChange()
	err := c.reader.fill()
	if c.clearIdle(err) && err != nil && c.stream.hasReceived() {
		// The request came before the server was stopped, but this goroutine did not run.
		c.server.awaitCloseIdle()
		c.stream.resume()
		c.stream.extendReadDeadline(waitHead, c.server.o.HeaderTimeout)
		err = c.reader.fill()
	}
	return err
}

// isStoppedIdle reports whether the server was stopped, does not wait for the first request
// of this connection, and the client has sent nothing.
func (c *serverConn) isStoppedIdle() bool {
	return c.server.closing.Load() && c.server.isStopped() &&
		(c.served.Load() || c.server.isGraceOver()) && !c.stream.hasReceived()
}

var errHeadTimeout = errors.New("http1: head timeout")

// headReader reads the rest of a head within HeaderTimeout.
type headReader struct {
	conn    *serverConn
	started bool // HeaderTimeout of this head has started
}

// Read implements io.Reader.
func (h *headReader) Read(p []byte) (int, error) {
	s := h.conn.stream
	if !h.started {
		h.started = true
		s.setReadDeadline(waitHead, h.conn.server.o.HeaderTimeout, time.Now())
	}
	n, err := s.Read(p)
	if n == 0 && isDeadline(err) {
		err = errHeadTimeout
	}
	return n, err
}

// reject responds to a request that violates a rule. After any other error, such as
// the end of the connection, it sends nothing.
func (c *serverConn) reject(err error) {
	var broken Error
	if !errors.As(err, &broken) {
		return
	}
	x := &c.exchange
	x.Response.requestUnread, x.Response.close = true, true
	c.server.o.Reject(x, broken)
	x.Response.finish()
}

// beginBody runs before the first byte of a body is read. It starts the stall timeout
// and sends 100 Continue if the client expects it.
func (c *serverConn) beginBody() error {
	c.stream.extendReadDeadline(waitBody, c.stream.stallTimeout)
	if !c.exchange.Request.expect {
		return nil
	}
	c.exchange.Request.expect = false
	_, err := c.stream.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// watch reads in the background to detect a reset. It does so only if the whole request
// was read and nothing else is buffered. Bytes of a next request end the watch. So does
// a FIN, since it may be a half-close of a client that waits for the response.
func (c *serverConn) watch() (stop func()) {
	if c.watching || !c.exchange.Body.Ended() || c.reader.buffered() > 0 || c.reader.err != nil {
		return func() {}
	}
	c.watching = true
	done := make(chan struct{})
	c.stream.resume()
	go func() {
		defer close(done)
		err := c.reader.fill()
		if err == nil || isEOF(err) || errors.Is(err, errWatchStopped) {
			return
		}
		c.canceler.Cancel(ErrClientGone)
	}()
	return func() {
		c.stream.interrupt(errWatchStopped, false)
		<-done
		c.stream.resume()
		c.watching = false
	}
}

var errWatchStopped = errors.New("http1: watch stopped")
