package http1

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// MinProgress is the minimum number of bytes of a request body per StallTimeout. It
// prevents a client from occupying a connection by sending a byte now and then.
const MinProgress = 1 << 10

// deadlineSlack saves calls that set deadlines. A deadline is extended only after
// 1/deadlineSlack of its timeout has passed, so it may pass that much too early.
const deadlineSlack = 8

// waitReason is the event for which a read waits. It selects the timeout.
type waitReason int

const (
	waitNone      waitReason = iota // the read deadline is unknown
	waitRequest                     // the next request, on an idle connection
	waitHead                        // the rest of a head
	waitBody                        // progress of a body
	waitBodyEnd                     // the end of a body
	waitUntilSlow                   // a response or its body, before it counts as slow
	waitResponse                    // a response, or 100 Continue
)

// stream is a connection with deadlines. One goroutine reads and one writes. Any
// goroutine may call interrupt and resetSocket.
type stream struct {
	conn         net.Conn // reads and writes go here: tls, or a directConn or raw
	raw          net.Conn
	tls          *tls.Conn // nil: no TLS
	records      *records  // the connection under tls
	peeker       *peeker   // nil: not used yet
	stallTimeout time.Duration
	// minProgress is the minimum number of bytes of a body per stallTimeout.
	minProgress int

	waiting          waitReason
	readTimeout      time.Duration
	readDeadlineSet  time.Time // the time when the read deadline was set
	progress         int       // bytes read since then
	writeDeadlineSet time.Time // the time when the write deadline was set

	mu             sync.Mutex // orders interrupt and the setting of deadlines
	interruptCause error      // nil: not interrupted
}

func newStream(raw net.Conn, stallTimeout time.Duration, minProgress int) *stream {
	return &stream{conn: direct(raw), raw: raw, stallTimeout: stallTimeout, minProgress: minProgress}
}

// startTLS puts TLS on the stream. The caller does the handshake.
func (s *stream) startTLS(wrap func(net.Conn) *tls.Conn) {
	s.records = &records{Conn: s.conn}
	s.tls = wrap(s.records)
	s.conn = s.tls
}

// extendReadDeadline sets the read deadline to timeout from now, unless it was set for
// the same reason and timeout a short time ago. Zero: no deadline.
func (s *stream) extendReadDeadline(reason waitReason, timeout time.Duration) {
	s.extendReadDeadlineAt(reason, timeout, time.Now())
}

// extendReadDeadlineAt is extendReadDeadline for a caller that knows the time.
func (s *stream) extendReadDeadlineAt(reason waitReason, timeout time.Duration, now time.Time) {
	if s.waiting == reason && s.readTimeout == timeout && now.Sub(s.readDeadlineSet) < timeout/deadlineSlack {
		return
	}
	s.setReadDeadline(reason, timeout, now)
}

// setReadDeadline sets the read deadline to timeout after now. Zero: no deadline.
func (s *stream) setReadDeadline(reason waitReason, timeout time.Duration, now time.Time) {
	s.waiting, s.readDeadlineSet, s.readTimeout, s.progress = reason, now, timeout, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interruptCause != nil {
		return
	}
	deadline := time.Time{}
	if timeout > 0 {
		deadline = now.Add(timeout)
	}
	_ = s.raw.SetReadDeadline(deadline) // if it fails, so does the next read
}

// limitBlockedRead sets the read deadline while another goroutine may be reading.
func (s *stream) limitBlockedRead(timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interruptCause == nil {
		_ = s.raw.SetReadDeadline(time.Now().Add(timeout))
	}
}

// limitBlockedWrite sets the write deadline while another goroutine may be writing.
func (s *stream) limitBlockedWrite(timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interruptCause == nil {
		_ = s.raw.SetWriteDeadline(time.Now().Add(timeout))
	}
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (n int, err error) {
	if s.waiting == waitBody && s.progress >= s.minProgress {
		s.extendReadDeadline(waitBody, s.stallTimeout)
	}
	if s.tls != nil && len(p) >= bulkSize {
		n, err = readBulk(s.tls, s.records, p)
	} else {
		n, err = s.conn.Read(p)
	}
	s.progress += n
	if err != nil && n == 0 {
		return 0, s.deadlineError(err, s.waiting == waitBody || s.waiting == waitBodyEnd)
	}
	return n, nil
}

// Write writes all of p. Each stallPieceSize bytes have the stall timeout.
func (s *stream) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		var m int
		m, err = s.writePiece(p[n:min(n+stallPieceSize, len(p))])
		n += m
	}
	return n, err
}

// stallPieceSize is the number of bytes that a peer has to accept per stall timeout.
const stallPieceSize = 256 << 10

func (s *stream) writePiece(p []byte) (n int, err error) {
	s.extendWriteDeadline()
	if s.tls != nil && len(p) >= bulkSize {
		n, err = writeBulk(s.tls, s.records, p)
	} else {
		n, err = s.conn.Write(p)
	}
	if err != nil {
		err = s.deadlineError(err, true)
	}
	return n, err
}

// writeParts writes the parts of a message, with one system call if possible.
func (s *stream) writeParts(parts ...[]byte) error {
	total := 0
	for _, part := range parts {
		total += len(part)
	}
	switch {
	case total == len(parts[0]):
		_, err := s.Write(parts[0])
		return err
	case total <= smallPieceSize:
		piece := BorrowPiece(0)
		defer piece.Return()
		n := 0
		for _, part := range parts {
			n += copy(piece.Bytes[n:], part)
		}
		_, err := s.Write(piece.Bytes[:n])
		return err
	case s.tls == nil && total <= stallPieceSize:
		s.extendWriteDeadline()
		buffers := append(net.Buffers(nil), parts...)
		if _, err := buffers.WriteTo(s.raw); err != nil {
			return s.deadlineError(err, true)
		}
		return nil
	}
	for _, part := range parts {
		if _, err := s.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) extendWriteDeadline() {
	now := time.Now()
	if now.Sub(s.writeDeadlineSet) < s.stallTimeout/deadlineSlack {
		return
	}
	s.writeDeadlineSet = now
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interruptCause == nil {
		_ = s.raw.SetWriteDeadline(now.Add(s.stallTimeout))
	}
}

// deadlineError replaces the error of a passed deadline by its reason: the cause of
// interrupt, or ErrStalled for a body.
func (s *stream) deadlineError(err error, body bool) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.interruptCause != nil:
		return s.interruptCause
	case body:
		return ErrStalled
	}
	return err
}

// pastDeadline makes blocked reads or writes return at once.
var pastDeadline = time.Unix(1, 0)

// interrupt makes reads fail with cause until resume, also a blocked one. If writesToo
// is set, it does the same to writes. Only the first cause counts.
func (s *stream) interrupt(cause error, writesToo bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interruptCause != nil {
		return
	}
	s.interruptCause = cause
	_ = s.raw.SetReadDeadline(pastDeadline)
	if writesToo {
		_ = s.raw.SetWriteDeadline(pastDeadline)
	}
}

// resumeUnlessClosed ends an interruption after an exchange, unless its cause is
// ErrServerClosed. Any other interruption concerned only that exchange.
func (s *stream) resumeUnlessClosed() {
	s.mu.Lock()
	interrupted := s.interruptCause != nil && !errors.Is(s.interruptCause, ErrServerClosed)
	s.mu.Unlock()
	if interrupted {
		s.resume()
	}
}

// resume ends an interruption and clears the deadlines. The next extendReadDeadline and
// Write set them.
func (s *stream) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interruptCause, s.waiting, s.writeDeadlineSet = nil, waitNone, time.Time{}
	_ = s.raw.SetDeadline(time.Time{})
}

// closeWrite closes the write side: it sends close_notify over TLS, otherwise FIN.
func (s *stream) closeWrite() error {
	if s.tls != nil {
		return s.tls.CloseWrite()
	}
	if half, ok := s.raw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// close closes the connection. Over TLS it sends close_notify.
func (s *stream) close() {
	_ = s.conn.Close()
	if s.records != nil {
		s.records.release()
	}
}

// reset resets the connection, so that the peer does not take it for the end of a body.
// It sends no close_notify.
func (s *stream) reset() {
	s.resetSocket()
	if s.records != nil {
		s.records.release()
	}
}

// resetSocket is reset for a goroutine that does not own the stream. The owner still has
// to close it.
func (s *stream) resetSocket() {
	if tcp, ok := s.raw.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = s.raw.Close()
}
