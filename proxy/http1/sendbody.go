package http1

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// upstreaming is a body that is sent to the origin while another goroutine waits for
// the response.
type upstreaming struct {
	cc   *clientConn
	call *Call
	// source is Call.Stream, or what is left of a long Call.Body; length is its length.
	source Source
	length int64
	// sending is set while the body is being read; the one that clears it ends the
	// other.
	sending atomic.Bool
	result  chan error // of the head of the response
}

func (cc *clientConn) sendStream(call *Call, source Source, length int64) error {
	u := &upstreaming{cc: cc, call: call, source: source, length: length, result: make(chan error, 1)}
	u.sending.Store(true)
	cc.stream.setRead(forResponse, 0, time.Now())
	go u.awaitHead()
	panicked := true
	defer func() {
		if panicked { // the source did; awaitHead must end
			cc.stream.cut()
		}
	}()
	sendErr := u.send()
	panicked = false
	switch {
	case !u.sending.CompareAndSwap(true, false), sendErr == nil:
		// A response has begun, or it is due.
		cc.resp.sent = sendErr == nil
		err := u.finish()
		if err != nil && sendErr != nil {
			err = originClosed(err, err)
		}
		return err
	}
	var failed *SourceError
	if errors.As(sendErr, &failed) || errors.Is(sendErr, ErrStalled) {
		cc.stream.cut()
		<-u.result //nolint:errcheck // it is that of the reset
		return sendErr
	}
	cc.stream.limitRead(earlyGrace)
	err := <-u.result
	if err == nil {
		return nil
	}
	if cc.resp.canceler.ctx.Err() != nil {
		return sendErr
	}
	return originClosed(sendErr, err)
}

// originClosed returns the error of a request body that the origin did not take whole.
// A response that breaks a rule says more than that.
func originClosed(cause, response error) error {
	var broken Error
	if errors.As(response, &broken) {
		return broken
	}
	return fmt.Errorf("%w: %w", ErrOriginClosed, cause)
}

func (u *upstreaming) awaitHead() {
	err := u.cc.head(u.call)
	if u.sending.CompareAndSwap(true, false) {
		u.source.Interrupt(errResponded)
	}
	u.result <- err
}

// finish waits for the response after the last byte of the body.
func (u *upstreaming) finish() error {
	s := u.cc.stream
	s.limitRead(s.stall)
	slow := time.NewTimer(slowAfter)
	defer slow.Stop()
	select {
	case err := <-u.result:
		return noResponse(err)
	case <-slow.C:
	}
	if slow := u.cc.resp.canceler.slow; slow != nil {
		defer slow()()
	}
	return noResponse(<-u.result)
}

func noResponse(err error) error {
	if isDeadline(err) {
		return ErrNoResponse
	}
	return err
}

// chunkHead is the room for the size of a chunk in front of it.
const chunkHead = 8 + len("\r\n")

// send moves the body. Its error is a *SourceError if the source failed.
func (u *upstreaming) send() error {
	piece := BorrowPiece(u.length)
	defer piece.Return()
	buf := piece.Bytes[chunkHead : len(piece.Bytes)-len("\r\n")]
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

// write sends the n bytes of body that are in piece after the room for a chunk's
// size.
func (u *upstreaming) write(piece []byte, n int) error {
	if u.length >= 0 {
		_, err := u.cc.stream.Write(piece[chunkHead : chunkHead+n])
		return err
	}
	var size [chunkHead]byte
	head := appendChunkSize(size[:0], n)
	begin := chunkHead - len(head)
	copy(piece[begin:], head)
	end := chunkHead + n
	copy(piece[end:], "\r\n")
	_, err := u.cc.stream.Write(piece[begin : end+len("\r\n")])
	return err
}

// memorySource is the part of a body in memory that is sent while the response is
// awaited: an origin may refuse it early and not read the rest.
type memorySource struct {
	rest  []byte
	cause atomic.Pointer[error] // of Interrupt
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
