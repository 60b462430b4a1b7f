package http1

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// bodySender sends a request body while another goroutine waits for the response.
type bodySender struct {
	cc   *clientConn
	call *Call
	// source is Call.Stream, or the rest of a long Call.Body.
	source Source
	length int64 // of source, or LengthChunked
	// sending is true while the body is being sent. Both goroutines try to clear it
	// when they finish; the one that succeeds was first.
	sending atomic.Bool
	result  chan error // the result of readFinalHead
}

func (cc *clientConn) sendStream(call *Call, source Source, length int64) error {
	u := &bodySender{cc: cc, call: call, source: source, length: length, result: make(chan error, 1)}
	u.sending.Store(true)
	cc.stream.setReadDeadline(waitResponse, 0, time.Now())
	go u.readResponseHead()
	panicked := true
	defer func() {
		if panicked { // in source.Read; the reset ends readResponseHead
			cc.stream.resetSocket()
		}
	}()
	sendErr := u.send()
	panicked = false
	switch {
	case !u.sending.CompareAndSwap(true, false), sendErr == nil:
		// The response came early, or the body is complete and the response is due.
		cc.resp.requestSent = sendErr == nil
		err := u.awaitResponse()
		cc.stream.writeDeadlineSet = time.Time{} // limitBlockedWrite may have moved it
		if err != nil && sendErr != nil {
			err = originClosedError(err, err)
		}
		return err
	}
	var failed *SourceError
	if errors.As(sendErr, &failed) || errors.Is(sendErr, ErrStalled) {
		cc.stream.resetSocket()
		<-u.result //nolint:errcheck // the error is caused by the reset
		return sendErr
	}
	cc.stream.limitBlockedRead(earlyResponseTimeout)
	err := <-u.result
	if err == nil {
		return nil
	}
	if cc.resp.canceler.ctx.Err() != nil {
		return sendErr
	}
	return originClosedError(sendErr, err)
}

// originClosedError returns the error of a request body that the origin did not read
// completely. An invalid response says more.
func originClosedError(cause, response error) error {
	if isResponseError(response) {
		return response
	}
	return fmt.Errorf("%w: %w", ErrOriginClosed, cause)
}

// readResponseHead reads the head of the response. If the body is not sent completely by
// then, it interrupts the source.
func (u *bodySender) readResponseHead() {
	err := u.cc.readFinalHead(u.call)
	if u.sending.CompareAndSwap(true, false) {
		u.source.Interrupt(errEarlyResponse)
		u.cc.stream.limitBlockedWrite(earlyResponseTimeout) // the origin may not read any more
	}
	u.result <- err
}

// awaitResponse waits for the response after the last byte of the body. After a body in
// memory, which can be sent again, the connection may be abandoned as after a small one.
func (u *bodySender) awaitResponse() error {
	s := u.cc.stream
	if u.call.Stream == nil {
		s.limitBlockedRead(0)
		if err := <-u.result; !isDeadline(err) {
			return err
		}
		return u.cc.awaitResponse(u.call)
	}
	s.limitBlockedRead(s.stallTimeout)
	slow := time.NewTimer(slowAfter)
	defer slow.Stop()
	select {
	case err := <-u.result:
		return noResponseError(err)
	case <-slow.C:
	}
	if slow := u.cc.resp.canceler.onSlow; slow != nil {
		defer slow()()
	}
	return noResponseError(<-u.result)
}

func noResponseError(err error) error {
	if isDeadline(err) {
		return ErrNoResponse
	}
	return err
}

// chunkHeadSpace is the maximum length of a chunk-size line: 8 hexadecimal digits and
// CR LF.
const chunkHeadSpace = 8 + len("\r\n")

// send sends the body. Its error is a *SourceError if the source failed.
func (u *bodySender) send() error {
	piece := BorrowPiece(u.length)
	defer piece.Return()
	buf := piece.Bytes[chunkHeadSpace : len(piece.Bytes)-len("\r\n")]
	for left := u.length; left != 0; {
		if left > 0 {
			buf = buf[:min(int64(len(buf)), left)]
		}
		u.call.Taken = u.source == u.call.Stream
		n, err := u.source.Read(buf)
		if n > 0 {
			if werr := u.write(piece.Bytes, n); werr != nil {
				return werr
			}
			left -= int64(n)
		}
		switch {
		case isEOF(err) && left < 0:
			_, err := u.cc.stream.Write([]byte(lastChunk))
			return err
		case isEOF(err) && left > 0:
			return &SourceError{ErrBodyLength}
		case err != nil && !isEOF(err):
			return &SourceError{err}
		}
		if u.length < 0 {
			left = LengthChunked
		}
	}
	return nil
}

// write sends n bytes of the body. They begin at piece[chunkHeadSpace], so that the
// chunk-size line fits before them.
func (u *bodySender) write(piece []byte, n int) error {
	if u.length >= 0 {
		_, err := u.cc.stream.Write(piece[chunkHeadSpace : chunkHeadSpace+n])
		return err
	}
	var size [chunkHeadSpace]byte
	head := appendChunkSize(size[:0], n)
	begin := chunkHeadSpace - len(head)
	copy(piece[begin:], head)
	end := chunkHeadSpace + n
	copy(piece[end:], "\r\n")
	_, err := u.cc.stream.Write(piece[begin : end+len("\r\n")])
	return err
}

// memorySource is the rest of a long body in memory. It is sent like a stream, since the
// origin may send an early response and not read the rest (RFC 9112, 9.5).
type memorySource struct {
	rest  []byte
	cause atomic.Pointer[error] // set by Interrupt
}

// Read implements io.Reader.
func (m *memorySource) Read(p []byte) (int, error) {
	if cause := m.cause.Load(); cause != nil {
		return 0, *cause
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// Interrupt implements Source.
func (m *memorySource) Interrupt(cause error) { m.cause.Store(&cause) }
