package http1

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// MinProgress is how many bytes of a body have to arrive in StallTimeout, so that
// a sender cannot keep a connection busy with a byte now and then.
const MinProgress = 1 << 10

// slack is the part (1/n) of a timeout by which a deadline may be early. It makes
// deadlines rare: one for many reads.
const slack = 8

// wait is what a read waits for, which decides how long.
type wait int

const (
	forNothing wait = iota // no deadline that is known
	forNext                // the next request, on an idle connection
	forHead                // the rest of a head
	forBody                // the next bytes of a body
	forWhole               // all bytes of a body
	forEarly               // a response, before anybody is told that it is slow
	forResponse
)

// stream is a connection with deadlines. One goroutine reads and one writes;
// interrupt may be called by any.
type stream struct {
	conn    net.Conn // a *tls.Conn, or raw
	raw     net.Conn
	tls     *tls.Conn
	records *records // under tls
	peeker  *peeker  // nil until it is needed
	stall   time.Duration
	// minProgress is how many bytes of a body have to be read in stall.
	minProgress int

	reading   wait
	readSet   time.Time // when the read deadline was set
	readLimit time.Duration
	moved     int // bytes since then
	writeSet  time.Time

	mu    sync.Mutex // orders deadlines
	cause error      // of interrupt
}

func newStream(raw net.Conn, stall time.Duration, minProgress int) *stream {
	return &stream{conn: direct(raw), raw: raw, stall: stall, minProgress: minProgress}
}

// secure puts TLS on the stream. The handshake is the caller's to make.
func (s *stream) secure(wrap func(net.Conn) *tls.Conn) {
	s.records = &records{Conn: s.conn}
	s.tls = wrap(s.records)
	s.conn = s.tls
}

// await sets the read deadline to limit from now, unless one like it was set a
// short while ago. A limit of zero is none.
func (s *stream) await(what wait, limit time.Duration) {
	s.awaitAt(what, limit, time.Now())
}

// awaitAt is await for a caller that knows the time.
func (s *stream) awaitAt(what wait, limit time.Duration, now time.Time) {
	if s.reading == what && s.readLimit == limit && now.Sub(s.readSet) < limit/slack {
		return
	}
	s.setRead(what, limit, now)
}

func (s *stream) setRead(what wait, limit time.Duration, now time.Time) {
	s.reading, s.readSet, s.readLimit, s.moved = what, now, limit, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	deadline := time.Time{}
	if limit > 0 {
		deadline = now.Add(limit)
	}
	_ = s.raw.SetReadDeadline(deadline) // a closed connection shows when it is read
}

// limitRead bounds a read that another goroutine may have begun.
func (s *stream) limitRead(limit time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		_ = s.raw.SetReadDeadline(time.Now().Add(limit))
	}
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (n int, err error) {
	if s.reading == forBody && s.moved >= s.minProgress {
		s.await(forBody, s.stall)
	}
	if s.tls != nil && len(p) >= bulk {
		n, err = readBulk(s.tls, s.records, p)
	} else {
		n, err = s.conn.Read(p)
	}
	s.moved += n
	if err != nil && n == 0 {
		return 0, s.explain(err, s.reading == forBody || s.reading == forWhole)
	}
	return n, nil
}

// Write writes all of p, and of each stallPiece within the stall timeout.
func (s *stream) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		var m int
		m, err = s.writePiece(p[n:min(n+stallPiece, len(p))])
		n += m
	}
	return n, err
}

// stallPiece is how many bytes a peer has to take within the stall timeout.
const stallPiece = 256 << 10

func (s *stream) writePiece(p []byte) (n int, err error) {
	s.armWrite()
	if s.tls != nil && len(p) >= bulk {
		n, err = writeBulk(s.tls, s.records, p)
	} else {
		n, err = s.conn.Write(p)
	}
	if err != nil {
		err = s.explain(err, true)
	}
	return n, err
}

// writeParts writes the parts of a message, with one system call where that can be had.
func (s *stream) writeParts(parts ...[]byte) error {
	total := 0
	for _, part := range parts {
		total += len(part)
	}
	switch {
	case total == len(parts[0]):
		_, err := s.Write(parts[0])
		return err
	case total <= smallPiece:
		piece := BorrowPiece(0)
		defer piece.Return()
		n := 0
		for _, part := range parts {
			n += copy(piece.Bytes[n:], part)
		}
		_, err := s.Write(piece.Bytes[:n])
		return err
	case s.tls == nil && total <= stallPiece:
		s.armWrite()
		buffers := append(net.Buffers(nil), parts...)
		if _, err := buffers.WriteTo(s.raw); err != nil {
			return s.explain(err, true)
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

func (s *stream) armWrite() {
	now := time.Now()
	if now.Sub(s.writeSet) < s.stall/slack {
		return
	}
	s.writeSet = now
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		_ = s.raw.SetWriteDeadline(now.Add(s.stall))
	}
}

// explain replaces the error of a deadline by why it passed.
func (s *stream) explain(err error, body bool) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cause != nil:
		return s.cause
	case body:
		return ErrStalled
	}
	return err
}

// past is a deadline that makes a blocked read or write return at once.
var past = time.Unix(1, 0)

// interrupt makes reads, and writes too if both is set, fail with cause until
// resume.
func (s *stream) interrupt(cause error, both bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = cause
	_ = s.raw.SetReadDeadline(past)
	if both {
		_ = s.raw.SetWriteDeadline(past)
	}
}

// forgive ends an interruption whose cause is not the end of the server: what it was
// meant for has ended.
func (s *stream) forgive() {
	s.mu.Lock()
	interrupted := s.cause != nil && !errors.Is(s.cause, ErrServerClosed)
	s.mu.Unlock()
	if interrupted {
		s.resume()
	}
}

// resume ends an interruption. Deadlines are set again by the next await and
// Write.
func (s *stream) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cause, s.reading, s.writeSet = nil, forNothing, time.Time{}
	_ = s.raw.SetDeadline(time.Time{})
}

// closeWrite says that nothing more comes, and keeps reading possible.
func (s *stream) closeWrite() error {
	if s.tls != nil {
		return s.tls.CloseWrite()
	}
	if half, ok := s.raw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// close ends the connection.
func (s *stream) close() {
	_ = s.conn.Close()
	if s.records != nil {
		s.records.release()
	}
}

// reset ends the connection so that no peer takes it for the end of a body. TLS
// would say goodbye first.
func (s *stream) reset() {
	s.cut()
	if s.records != nil {
		s.records.release()
	}
}

// cut is reset for another goroutine than the one that uses the stream, which then
// closes it.
func (s *stream) cut() {
	if tcp, ok := s.raw.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = s.raw.Close()
}
