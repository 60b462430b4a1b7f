package http1

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// Call is one request to be sent.
type Call struct {
	// Method is that of Head; it decides whether the response has a body.
	Method string
	// Head is the request line and the fields, as Builder.Bytes returns them. It
	// says Content-Length, or Transfer-Encoding: chunked.
	Head []byte
	// Body is a body in memory, or the beginning of one that Stream continues. Nil:
	// none.
	Body []byte
	// Stream is a body that is read while it is sent. Nil: none.
	Stream Source
	// Length is the length of Stream in bytes, or LengthChunked.
	Length int64
	// Expect says that Head has Expect: 100-continue. Stream is then not read before
	// the origin agrees, or has been silent for ContinueTimeout.
	Expect bool
	// KeptContinueTimeout is how long a connection that was used before may be silent
	// about Expect. Zero: ContinueTimeout.
	KeptContinueTimeout time.Duration
	// Repeat is asked whether the request may be sent once more, on another
	// connection, because a connection that was used before has failed without a byte
	// of a response. It is not known then whether the origin has carried the request
	// out. Nil: never.
	Repeat func() bool
	// Abandon is asked whether to give up a connection that was used before, since no
	// byte has come for FirstByteTimeout, or none about Expect in its time. The request
	// is then sent on a new connection. Nil: never.
	Abandon func(Silence) bool
	// Fresh asks for a new connection.
	Fresh bool

	// Taken is set by Do as soon as Stream has been read from.
	Taken bool
	// Verdict is set by Do to what came of Expect, also if there is an error.
	Verdict Verdict
}

// Silence is what is known of a request without a response.
type Silence struct {
	// Unacknowledged says that the peer has not acknowledged all of the request, so
	// that it cannot have it. It is never set where the system does not tell.
	Unacknowledged bool
}

// Source is a body that is read while it is sent.
type Source interface {
	io.Reader
	// Interrupt makes a Read that is blocked, or comes later, return cause. Another
	// goroutine calls it.
	Interrupt(cause error)
}

// Verdict is what the origin did with Expect: 100-continue.
type Verdict int

// The verdicts.
const (
	NotAsked  Verdict = iota // the request had no Expect
	Continued                // 100 Continue came
	Silent                   // nothing came in ContinueTimeout; the body was sent
	Early                    // a final response came, and no byte of the body was sent
)

// Errors of Do, besides those of package net and crypto/tls.
var (
	// ErrNoResponse is a response that did not begin in StallTimeout.
	ErrNoResponse = errors.New("http1: no response came in time")
	// ErrOriginClosed is the end of the connection before the end of the request body.
	ErrOriginClosed = errors.New("http1: the origin closed the connection in the middle of the request body")
	// ErrTooManyInterim is a response behind too many with status 1xx.
	ErrTooManyInterim = errors.New("http1: too many interim responses")
	// ErrUpgraded is the status 101, which was not asked for.
	ErrUpgraded = errors.New("http1: the origin switched protocols unasked")

	errResponded = errors.New("http1: the response came before the end of the body")
	errAbandoned = errors.New("http1: a kept connection is silent")
)

// SourceError is a Stream that could not be read to its end. Nothing complete has
// reached the origin.
type SourceError struct{ Err error }

// Error returns the text of the cause.
func (e *SourceError) Error() string { return "http1: request body: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Do sends a request and returns when the head of the response has come. canceler
// ends it, and the reading of the response's body.
func (c *Client) Do(canceler *Canceler, call *Call) (*Response, error) {
	call.Taken, call.Verdict = false, NotAsked
	for fresh := call.Fresh; !fresh; {
		cc := c.get()
		if cc == nil {
			break
		}
		resp, err := cc.do(canceler, call)
		switch {
		case errors.Is(err, errAbandoned):
			c.CloseIdle() // what ended this connection has ended those
			fresh = true
		case err == nil || call.Taken || call.Repeat == nil || !cc.failedUnheard(err) || !call.Repeat():
			return resp, err
		}
	}
	s, err := c.dialer.dial(canceler.ctx)
	if isOutOfDescriptors(err) {
		c.o.OutOfDescriptors()
		s, err = c.dialer.dial(canceler.ctx)
	}
	switch {
	case err == nil:
	case canceler.ctx.Err() != nil:
		return nil, context.Cause(canceler.ctx)
	default:
		return nil, err
	}
	return newClientConn(c, s).do(canceler, call)
}

// failedUnheard reports whether a used connection failed before a byte of the
// response came, for a reason of its own.
func (cc *clientConn) failedUnheard(err error) bool {
	if !cc.used || cc.heard || cc.reader.buffered() > 0 || errors.Is(err, ErrNoResponse) || cc.resp.canceler.ctx.Err() != nil {
		return false
	}
	var broken Error
	return !errors.As(err, &broken)
}

// do carries out the call on cc. After an error cc is closed.
func (cc *clientConn) do(canceler *Canceler, call *Call) (*Response, error) {
	cc.resp = Response{
		ResponseHead: ResponseHead{Head: Head{Fields: cc.resp.Fields[:0], raw: cc.resp.raw}},
		Reused:       cc.used, conn: cc, canceler: canceler,
	}
	cc.heard = false
	err := canceler.attach(cc.stream)
	if err == nil {
		if err = cc.exchange(call); err == nil {
			cc.beginBody()
			return &cc.resp, nil
		}
		if cause := canceler.detach(); cause != nil {
			err = cause
		}
	}
	if errors.Is(err, errAbandoned) {
		cc.stream.reset() // or the kernel would go on sending what is not acknowledged
	} else {
		cc.stream.close()
	}
	return nil, err
}

func (cc *clientConn) exchange(call *Call) error {
	first, source, length := call.Body, call.Stream, call.Length
	if source == nil && len(first) > firstWrite {
		source, length = &memorySource{rest: first[firstWrite:]}, int64(len(first)-firstWrite)
		first = first[:firstWrite]
	}
	if err := cc.stream.writeParts(call.Head, first); err != nil {
		return cc.earlyResponse(call, err)
	}
	if source == nil {
		cc.resp.sent = true
		return cc.awaitResponse(call)
	}
	if call.Expect {
		final, err := cc.awaitContinue(call)
		if final || err != nil {
			return err
		}
	}
	return cc.sendStream(call, source, length)
}

// firstWrite is how much of a body in memory is sent without a look at the response.
// Socket buffers hold as much, so that the write does not block.
const firstWrite = 64 << 10

// beginBody makes the body of the response ready.
func (cc *clientConn) beginBody() {
	r := &cc.resp
	r.Body.reset(&cc.reader, r.length, cc.client.o.Limits)
	if r.Body.ended || r.length > 0 && int64(r.Body.Buffered()) == r.length {
		return
	}
	cc.reader.src = &cc.slow
	cc.stream.await(forBody, cc.stream.stall)
}

// maxInterim is how many responses with status 1xx are skipped.
const maxInterim = 16

// head reads the head of the next final response; 100 Continue is noted. The
// deadline is the caller's.
func (cc *clientConn) head(call *Call) error {
	for range maxInterim {
		if err := cc.anyHead(call); err != nil || cc.resp.Status >= 200 {
			return err
		}
	}
	return ErrTooManyInterim
}

func (cc *clientConn) anyHead(call *Call) error {
	r := &cc.resp
	raw, err := cc.reader.head(r.raw[:0], cc.client.o.Limits, 0)
	r.raw = raw
	if err != nil {
		if isEOF(err) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	cc.heard = true
	if err := r.parse(cc.client.o.Limits, call.Method); err != nil {
		return err
	}
	if r.Status == 101 {
		return ErrUpgraded
	}
	return nil
}

// isDeadline reports whether a read deadline passed that nobody interrupted.
func isDeadline(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) // ETIMEDOUT, of the kernel, is another timeout
}

// slowAfter is when a response is so slow that it is worth seeing whether its
// client is still there.
const slowAfter = time.Second

// awaitResponse reads the response to a request that was sent whole.
func (cc *clientConn) awaitResponse(call *Call) error {
	o := &cc.client.o
	waited := min(slowAfter, o.FirstByteTimeout)
	cc.stream.await(forEarly, waited)
	err := cc.head(call)
	if !isDeadline(err) {
		return err
	}
	if slow := cc.resp.canceler.slow; slow != nil {
		defer slow()()
	}
	if cc.used && call.Abandon != nil && cc.reader.buffered() == 0 {
		cc.stream.setRead(forResponse, max(o.FirstByteTimeout-waited, time.Millisecond), time.Now())
		err = cc.head(call)
		if !isDeadline(err) {
			return err
		}
		if cc.isAbandoned(call) {
			return errAbandoned
		}
		waited = o.FirstByteTimeout
	}
	cc.stream.setRead(forResponse, max(o.StallTimeout-waited, time.Millisecond), time.Now())
	if err = cc.head(call); isDeadline(err) {
		return ErrNoResponse
	}
	return err
}

// awaitContinue waits for the verdict on Expect. final says that a final response
// has come.
func (cc *clientConn) awaitContinue(call *Call) (final bool, err error) {
	r := &cc.resp
	timeout := cc.client.o.ContinueTimeout
	if cc.used && call.KeptContinueTimeout > 0 {
		timeout = call.KeptContinueTimeout
	}
	cc.stream.setRead(forResponse, timeout, time.Now())
	for range maxInterim {
		err := cc.anyHead(call)
		switch {
		case isDeadline(err) && cc.isAbandoned(call):
			return false, errAbandoned
		case isDeadline(err):
			call.Verdict = Silent
			return false, nil
		case err != nil:
			return false, err
		case r.Status >= 200:
			call.Verdict = Early
			return true, nil
		case r.Status == 100:
			call.Verdict = Continued
			return false, nil
		}
	}
	return false, ErrTooManyInterim
}

// isAbandoned asks whether a silent connection that was used before is given up.
func (cc *clientConn) isAbandoned(call *Call) bool {
	return cc.used && cc.reader.buffered() == 0 && call.Abandon != nil && call.Abandon(Silence{cc.stream.unacknowledged()})
}

// earlyResponse returns nil if the origin has responded before it broke the
// connection on which err occurred.
func (cc *clientConn) earlyResponse(call *Call, err error) error {
	if errors.Is(err, ErrStalled) || cc.resp.canceler.ctx.Err() != nil {
		return err
	}
	cc.stream.setRead(forResponse, earlyGrace, time.Now())
	if cc.head(call) != nil {
		return err
	}
	return nil
}

// earlyGrace is how long a response may take to arrive that was sent before the
// connection broke.
const earlyGrace = time.Second
