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
	// sending is set while the body is being read; the one that clears it ends the
	// other.
	sending atomic.Bool
	result  chan error // of the head of the response
}

func (cc *clientConn) sendStream(call *Call) error {
	u := &upstreaming{cc: cc, call: call, result: make(chan error, 1)}
	u.sending.Store(true)
	cc.stream.setRead(forResponse, 0, time.Now())
	go u.awaitHead()
	sendErr := u.send()
	switch {
	case !u.sending.CompareAndSwap(true, false), sendErr == nil:
		// A response has begun, or it is due.
		cc.resp.sent = sendErr == nil
		err := u.finish()
		if err != nil && sendErr != nil {
			err = originClosed(err)
		}
		return err
	}
	var source *SourceError
	if errors.As(sendErr, &source) || errors.Is(sendErr, ErrStalled) {
		cc.stream.cut()
		<-u.result //nolint:errcheck // it is that of the reset
		return sendErr
	}
	cc.stream.limitRead(earlyGrace)
	if <-u.result == nil {
		return nil
	}
	if cc.resp.canceler.ctx.Err() != nil {
		return sendErr
	}
	return originClosed(sendErr)
}

func originClosed(cause error) error { return fmt.Errorf("%w: %w", ErrOriginClosed, cause) }

func (u *upstreaming) awaitHead() {
	err := u.cc.head(u.call)
	if u.sending.CompareAndSwap(true, false) {
		u.call.Stream.Interrupt(errResponded)
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
	call, s := u.call, u.cc.stream
	piece := BorrowPiece(call.Length)
	defer piece.Return()
	buf := piece.Bytes[chunkHead : len(piece.Bytes)-len("\r\n")]
	for left := call.Length; left != 0; {
		if left > 0 {
			buf = buf[:min(int64(len(buf)), left)]
		}
		call.Taken = true
		n, err := call.Stream.Read(buf)
		if n > 0 {
			if werr := u.write(piece.Bytes, n); werr != nil {
				return werr
			}
			left -= int64(n)
		}
		switch {
		case isEOF(err) && left < 0:
			_, err := s.Write([]byte(lastChunk))
			return err
		case isEOF(err) && left > 0:
			return &SourceError{ErrBodyLength}
		case err != nil && !isEOF(err):
			return &SourceError{err}
		}
		if call.Length < 0 {
			left = LengthChunked
		}
	}
	return nil
}

// write sends the n bytes of body that are in piece after the room for a chunk's
// size.
func (u *upstreaming) write(piece []byte, n int) error {
	if u.call.Length >= 0 {
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
