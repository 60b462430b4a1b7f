package http1

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// Call is one request to send.
type Call struct {
	// Method is the method in Head. It determines whether the response has a body.
	Method string
	// Head is the request line and the fields, as Builder.Bytes returns them. The caller
	// adds Content-Length or Transfer-Encoding: chunked.
	Head []byte
	// Body is a body in memory, or the first part of a body that Stream continues. Nil:
	// none.
	Body []byte
	// Stream is a body that is read while it is sent. Nil: none.
	Stream Source
	// Length is the length of Stream in bytes, or LengthChunked.
	Length int64
	// Expect must be set if Head contains Expect: 100-continue. Do then reads Stream only
	// after 100 Continue, or if the origin sends nothing within ContinueTimeout.
	Expect bool
	// KeptContinueTimeout replaces ContinueTimeout on a reused connection. Zero:
	// ContinueTimeout.
	KeptContinueTimeout time.Duration
	// Repeat reports whether Do may send the request again, on another connection. Do
	// calls it when a reused connection failed without a byte of a response and Stream
	// was not read. The origin may have processed the request. Nil: never.
	Repeat func() bool
	// Abandon reports whether Do may give up a reused connection and send the request on
	// a new one. Do calls it when nothing came within FirstByteTimeout, or within the
	// timeout of Expect. Nil: never.
	Abandon func(Silence) bool

	// Taken is set by Do when it starts to read Stream.
	Taken bool
	// Verdict is set by Do to the result of Expect, also if Do fails.
	Verdict Verdict
}

// Silence describes a request to which no response came yet.
type Silence struct {
	// Unacknowledged reports that the peer has not acknowledged all bytes of the request,
	// so it cannot have received the whole request. It is always false on systems other
	// than Linux.
	Unacknowledged bool
}

// Source is a body that is read while it is sent.
type Source interface {
	io.Reader
	// Interrupt makes blocked and later calls of Read return cause. Do calls it from
	// another goroutine.
	Interrupt(cause error)
}

// Verdict is the reaction of the origin to Expect: 100-continue.
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
	// ErrNoResponse means that no response began within StallTimeout.
	ErrNoResponse = errors.New("http1: no response came in time")
	// ErrOriginClosed means that the connection ended before the end of the request body.
	ErrOriginClosed = errors.New("http1: the origin closed the connection in the middle of the request body")
	// ErrTooManyInterim means that more than 15 responses with a status of 1xx came.
	ErrTooManyInterim = errors.New("http1: too many interim responses")
	// ErrUpgraded means a status of 101, although the request had no Upgrade.
	ErrUpgraded = errors.New("http1: the origin switched protocols without a request to do so")

	errEarlyResponse = errors.New("http1: the response came before the end of the body")
	errAbandoned     = errors.New("http1: no response on a reused connection")
)

// SourceError means that reading Stream failed or ended too early. The origin has not
// received a complete body.
type SourceError struct{ Err error }

// Error returns the text of the cause.
func (e *SourceError) Error() string { return "http1: request body: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// DialError means that no connection could be set up: the origin has received nothing.
type DialError struct{ Err error }

// Error returns the text of the cause.
func (e *DialError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Do sends a request and returns the response as soon as its head was read. canceler
// cancels Do, and later reads of the response body.
func (c *Client) Do(canceler *Canceler, call *Call) (*Response, error) {
	call.Taken, call.Verdict = false, NotAsked
	for cc := c.get(); cc != nil; cc = c.get() {
		resp, err := cc.do(canceler, call)
		if errors.Is(err, errAbandoned) {
			c.CloseIdle() // the other idle connections are probably dead, too
			break
		}
		if err == nil || call.Taken || call.Repeat == nil || !cc.failedBeforeResponse(err) || !call.Repeat() {
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
		return nil, &DialError{err}
	}
	return newClientConn(c, s).do(canceler, call)
}

// failedBeforeResponse reports whether a reused connection failed before a byte of the
// response came. A timeout or cancellation is not a failure of the connection.
func (cc *clientConn) failedBeforeResponse(err error) bool {
	if !cc.used || !cc.isSilent() || errors.Is(err, ErrNoResponse) || cc.resp.canceler.ctx.Err() != nil {
		return false
	}
	var broken Error
	return !errors.As(err, &broken)
}

// isSilent reports whether no byte of a response has come, also not of an interim one.
func (cc *clientConn) isSilent() bool { return !cc.gotHead && cc.reader.buffered() == 0 }

// do sends the call on cc and reads the head of the response. It closes cc after an error.
func (cc *clientConn) do(canceler *Canceler, call *Call) (*Response, error) {
	cc.resp = Response{
		ResponseHead: ResponseHead{Head: Head{Fields: cc.resp.Fields[:0], raw: cc.resp.raw}},
		Reused:       cc.used, conn: cc, canceler: canceler,
	}
	cc.gotHead = false
	err := canceler.attach(cc.stream)
	if err == nil {
		if err = cc.roundTrip(call); err == nil {
			cc.startBody()
			return &cc.resp, nil
		}
		if cause := canceler.detach(); cause != nil {
			err = cause
		}
	}
	if errors.Is(err, errAbandoned) {
		cc.stream.reset() // after a close, the kernel would retransmit unacknowledged bytes
	} else {
		cc.stream.close()
	}
	return nil, err
}

// roundTrip sends the call and reads the head of the response.
func (cc *clientConn) roundTrip(call *Call) error {
	body, source, length := call.Body, call.Stream, call.Length
	if source == nil && len(body) > firstWriteSize {
		source, length = &memorySource{rest: body[firstWriteSize:]}, int64(len(body)-firstWriteSize)
		body = body[:firstWriteSize]
	}
	if err := cc.stream.writeParts(call.Head, body); err != nil {
		return cc.readEarlyResponse(call, err)
	}
	if source == nil {
		cc.resp.requestSent = true
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

// firstWriteSize is the number of bytes of a body in memory that are sent before anything
// waits for the response. They fit into the socket buffers, so the write does not block.
const firstWriteSize = 64 << 10

// startBody prepares the body of the response. If all of it is buffered, no deadline is
// needed.
func (cc *clientConn) startBody() {
	r := &cc.resp
	r.Body.reset(&cc.reader, r.length, cc.client.o.Limits)
	if r.Body.ended || r.length > 0 && int64(r.Body.Buffered()) == r.length {
		return
	}
	cc.reader.src = &cc.slowSource
	cc.stream.extendReadDeadline(waitBody, cc.stream.stallTimeout)
}

// maxInterim is the maximum number of heads per response, including interim ones (status
// 1xx).
const maxInterim = 16

// readFinalHead reads the head of the next final response. It skips interim responses
// (RFC 9110, 15.2). The caller sets the read deadline.
func (cc *clientConn) readFinalHead(call *Call) error {
	for range maxInterim {
		if err := cc.readAnyHead(call); err != nil || cc.resp.Status >= 200 {
			return err
		}
	}
	return ErrTooManyInterim
}

// readAnyHead reads the head of the next response, interim or final.
func (cc *clientConn) readAnyHead(call *Call) error {
	r := &cc.resp
	raw, err := cc.reader.readHead(r.raw[:0], cc.client.o.Limits, 0)
	r.raw = raw
	if err != nil {
		if isEOF(err) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	cc.gotHead = true
	if err := r.parse(cc.client.o.Limits, call.Method); err != nil {
		return err
	}
	if r.Status == 101 {
		return ErrUpgraded
	}
	return nil
}

// isDeadline reports whether err is a passed deadline of a stream that was not
// interrupted. ETIMEDOUT, a timeout of the kernel, is not one: it means a dead connection.
func isDeadline(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// slowAfter is the time after which a response counts as slow. From then on the client
// is watched, so that a disconnect cancels the request.
const slowAfter = time.Second

// awaitResponse reads the head of the response to a request that was sent completely.
func (cc *clientConn) awaitResponse(call *Call) error {
	o := &cc.client.o
	waited := min(slowAfter, o.FirstByteTimeout)
	cc.stream.extendReadDeadline(waitUntilSlow, waited)
	err := cc.readFinalHead(call)
	if !isDeadline(err) {
		return err
	}
	if slow := cc.resp.canceler.onSlow; slow != nil {
		defer slow()()
	}
	if cc.used && call.Abandon != nil && cc.isSilent() {
		cc.stream.setReadDeadline(waitResponse, max(o.FirstByteTimeout-waited, time.Millisecond), time.Now())
		err = cc.readFinalHead(call)
		if !isDeadline(err) {
			return err
		}
		if cc.shouldAbandon(call) {
			return errAbandoned
		}
		waited = o.FirstByteTimeout
	}
	cc.stream.setReadDeadline(waitResponse, max(o.StallTimeout-waited, time.Millisecond), time.Now())
	if err = cc.readFinalHead(call); isDeadline(err) {
		return ErrNoResponse
	}
	return err
}

// awaitContinue waits for 100 Continue and sets call.Verdict. final reports that a final
// response came.
func (cc *clientConn) awaitContinue(call *Call) (final bool, err error) {
	r := &cc.resp
	timeout := cc.client.o.ContinueTimeout
	if cc.used && call.KeptContinueTimeout > 0 {
		timeout = call.KeptContinueTimeout
	}
	cc.stream.setReadDeadline(waitResponse, timeout, time.Now())
	for range maxInterim {
		err := cc.readAnyHead(call)
		switch {
		case isDeadline(err) && cc.shouldAbandon(call):
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

// shouldAbandon reports whether to give up a reused connection without a response.
func (cc *clientConn) shouldAbandon(call *Call) bool {
	return cc.used && cc.isSilent() && call.Abandon != nil && call.Abandon(Silence{cc.stream.unacknowledged()})
}

// readEarlyResponse runs after a write failed with err. It returns nil if the origin sent
// a response before it closed the connection, the error of an invalid response, or err.
func (cc *clientConn) readEarlyResponse(call *Call, err error) error {
	if errors.Is(err, ErrStalled) || cc.resp.canceler.ctx.Err() != nil {
		return err
	}
	cc.stream.setReadDeadline(waitResponse, earlyResponseTimeout, time.Now())
	headErr := cc.readFinalHead(call)
	if headErr == nil || isResponseError(headErr) {
		return headErr
	}
	return err
}

// isResponseError reports whether err is a fault of a response, not of the connection.
func isResponseError(err error) bool {
	var broken Error
	return errors.As(err, &broken) || errors.Is(err, ErrUpgraded) || errors.Is(err, ErrTooManyInterim)
}

// earlyResponseTimeout is the time to wait for a response that the origin may have sent
// before the connection failed.
const earlyResponseTimeout = time.Second
