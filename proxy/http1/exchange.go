package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// Exchange is one request and its response. It is valid while the handler runs,
// and belongs to its goroutine.
type Exchange struct {
	// Request is the head of the request.
	Request RequestHead
	// Body is the body of the request. A client that sent Expect: 100-continue is
	// asked for it by the first Read.
	Body Body
	// Response is what the client gets. A handler that sends nothing breaks the
	// connection.
	Response ResponseWriter

	conn *serverConn
}

// Context ends when the client has left, as far as that is noticed, and when the
// server is closed.
func (x *Exchange) Context() context.Context { return x.conn.canceler.ctx }

// Canceler is what a Client needs to see the end of the exchange.
func (x *Exchange) Canceler() *Canceler { return x.conn.canceler }

// LocalAddr is the address that the client connected to.
func (x *Exchange) LocalAddr() net.Addr { return x.conn.stream.raw.LocalAddr() }

// CanReset reports whether the client can tell a cut response from a complete one that
// ends with the connection: TCP has a reset, a Unix socket has not.
func (x *Exchange) CanReset() bool {
	_, ok := x.conn.stream.raw.(interface{ SetLinger(int) error })
	return ok
}

// TLS reports whether the client speaks TLS.
func (x *Exchange) TLS() bool { return x.conn.stream.tls != nil }

// Watch notices a client that leaves while the handler waits for something else
// than the client. Context ends then. stop must be called before the next use of
// the exchange.
func (x *Exchange) Watch() (stop func()) { return x.conn.watch() }

// InterruptBody makes a Read of Body that is blocked, or comes later, fail with
// cause. It may be called by another goroutine.
func (x *Exchange) InterruptBody(cause error) { x.conn.stream.interrupt(cause, false) }

// serverConn is one connection of a Server.
type serverConn struct {
	server   *Server
	stream   *stream
	reader   reader
	head     headSource
	canceler *Canceler
	exchange Exchange

	// idleSince is when the connection became idle, in nanoseconds of Unix time.
	// Zero: it is not idle; idleClaimed: it is about to be closed.
	idleSince atomic.Int64
	served    atomic.Bool // it has had a request

	begin    func() error // beginBody
	watching bool         // watch reads; a second watch does nothing
}

const idleClaimed = -1

func newServerConn(s *Server, raw net.Conn) *serverConn {
	c := &serverConn{server: s, stream: newStream(raw, s.o.StallTimeout, MinProgress), canceler: newCanceler(context.Background())}
	c.reader.src = c.stream
	c.head.conn = c
	c.canceler.slow = c.watch
	c.begin = c.beginBody
	c.exchange.conn = c
	c.exchange.Response.conn = c
	return c
}

// serve reads requests and responds to them until the connection ends.
func (c *serverConn) serve() {
	if c.server.o.TLS != nil && !c.handshake() {
		return
	}
	for {
		x := &c.exchange
		x.Response.reset()
		if err := c.readHead(); err != nil {
			c.refuse(err)
			return
		}
		c.served.Store(true)
		x.Body.reset(&c.reader, x.Request.length, c.server.o.Limits)
		x.Body.first = c.begin
		c.server.o.Handler(x)
		if !x.Response.finish() {
			return
		}
		c.stream.forgive()
	}
}

func (c *serverConn) handshake() bool {
	c.stream.secure(func(raw net.Conn) *tls.Conn { return tls.Server(raw, c.server.o.TLS) })
	ctx, cancel := context.WithTimeout(c.canceler.ctx, c.server.o.HeaderTimeout)
	defer cancel()
	c.beginIdle(time.Now()) // a silent client must not keep its place
	err := c.stream.tls.HandshakeContext(ctx)
	closed := c.endIdle(err) && err != nil
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return true
	case errors.As(err, &record) && record.Conn != nil && isHTTP(record.RecordHeader[:]):
		c.stream.conn, c.stream.tls = c.stream.raw, nil
		c.refuse(Error{RulePlain, "the request is plain HTTP, and this address speaks TLS"})
	case closed || c.canceler.ctx.Err() != nil || !c.stream.records.heard:
		// The server has ended the connection, or the client never spoke, as probes do.
	case c.server.o.HandshakeFailed != nil:
		c.server.o.HandshakeFailed(c.stream.raw.RemoteAddr(), err)
	}
	return false
}

// beginIdle makes the connection one that may be closed for a new one.
func (c *serverConn) beginIdle(now time.Time) { c.idleSince.Store(now.UnixNano()) }

// endIdle ends that, after a read with the result err. It reports whether the server has
// begun to close the connection. If the read came first, the connection goes on.
func (c *serverConn) endIdle(err error) (claimed bool) {
	claimed = c.idleSince.Swap(0) == idleClaimed
	if claimed && err == nil {
		c.server.awaitClaim()
		c.stream.resume()
	}
	return claimed
}

// isHTTP reports whether a connection begins as requests do.
func isHTTP(beginning []byte) bool {
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

// emptyLines is how many may come in front of a request (RFC 9112, 2.2).
const emptyLines = 2

// readHead waits for the next request and reads its head.
func (c *serverConn) readHead() error {
	if c.reader.buffered() == 0 {
		if err := c.awaitRequest(); err != nil {
			return err
		}
	}
	h := &c.exchange.Request
	*h = RequestHead{Head: Head{Fields: h.Fields[:0], raw: h.raw, Minor: 1, framing: framing{close: true}}}
	// The whole head is mostly there; if it is not, its time runs.
	c.head.running = false
	c.reader.src = &c.head
	raw, err := c.reader.head(h.raw[:0], c.server.o.Limits, emptyLines)
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

// awaitRequest waits on an idle connection.
func (c *serverConn) awaitRequest() error {
	now := time.Now()
	c.beginIdle(now)
	if c.server.closing.Load() && c.server.isStopped() {
		return ErrServerClosed
	}
	c.stream.awaitAt(forNext, c.server.o.IdleTimeout, now)
	c.server.signal()
	err := c.reader.fill()
	c.endIdle(err)
	return err
}

var errHeadTimeout = errors.New("http1: timeout of a head")

// headSource reads the rest of a head, in the time that it has.
type headSource struct {
	conn    *serverConn
	running bool // the time of this head
}

// Read implements io.Reader.
func (h *headSource) Read(p []byte) (int, error) {
	s := h.conn.stream
	if !h.running {
		h.running = true
		s.setRead(forHead, h.conn.server.o.HeaderTimeout, time.Now())
	}
	n, err := s.Read(p)
	if n == 0 && isDeadline(err) {
		err = errHeadTimeout
	}
	return n, err
}

// refuse responds to a request that could not be read, unless nothing of it came.
func (c *serverConn) refuse(err error) {
	var broken Error
	if !errors.As(err, &broken) {
		return
	}
	x := &c.exchange
	x.Response.unread = true
	x.Response.closeAfter()
	c.server.o.Refuse(x, broken)
	x.Response.finish()
}

// beginBody is called before the first byte of a body is read.
func (c *serverConn) beginBody() error {
	c.stream.await(forBody, c.stream.stall)
	if !c.exchange.Request.expect {
		return nil
	}
	c.exchange.Request.expect = false
	_, err := c.stream.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// watch reads in the background, so that the end of the connection is noticed. It
// does so only when the whole request has come: another request may follow, which
// ends the watch, and so does a half-close, after which the client waits for its
// response still.
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
		if err == nil || isEOF(err) || errors.Is(err, errWatched) {
			return
		}
		c.canceler.Cancel(ErrClientGone)
	}()
	return func() {
		c.stream.interrupt(errWatched, false)
		<-done
		c.stream.resume()
		c.watching = false
	}
}

var errWatched = errors.New("http1: the watch was ended")
