package http1

import "time"

// Response is the response of an origin. Close must be called.
type Response struct {
	ResponseHead
	// Body is the body. Its errors are those of Body, ErrStalled, and the cause of
	// Canceler.Cancel.
	Body Body
	// Reused reports whether the connection had carried a request before.
	Reused bool

	conn     *clientConn
	canceler *Canceler
	sent     bool // the whole request has left
}

// slowSource reads the body of a response. While that is slow, its client is watched.
type slowSource struct{ conn *clientConn }

// Read implements io.Reader.
func (b *slowSource) Read(p []byte) (int, error) {
	cc, s := b.conn, b.conn.stream
	slow := cc.resp.canceler.slow
	if slow == nil || s.reading == forWhole || s.stall <= slowAfter {
		return s.Read(p)
	}
	s.await(forEarly, slowAfter)
	n, err := s.Read(p)
	if n > 0 || !isDeadline(err) {
		return n, err
	}
	defer slow()()
	s.setRead(forBody, s.stall-slowAfter, time.Now())
	return s.Read(p)
}

// Sent reports whether the whole request had left when the response came.
func (r *Response) Sent() bool { return r.sent }

// BodyTimeout bounds the time of the rest of the body, from now on. Zero: only the
// stall timeout counts again.
func (r *Response) BodyTimeout(d time.Duration) {
	switch {
	case r.conn == nil || r.Body.Ended():
	case d == 0:
		r.conn.stream.await(forBody, r.conn.stream.stall)
	default:
		r.conn.stream.setRead(forWhole, d, time.Now())
	}
}

// Discard reads the rest of the body within both bounds, so that the connection can be
// kept, and closes the response.
func (r *Response) Discard(limit int64, timeout time.Duration) {
	r.BodyTimeout(timeout)
	if !r.Body.Ended() {
		piece := BorrowPiece(0)
		for read := int64(0); read < limit; {
			n, err := r.Body.Read(piece.Bytes[:min(int64(len(piece.Bytes)), limit-read)])
			if read += int64(n); err != nil {
				break
			}
		}
		piece.Return()
	}
	r.Close()
}

// Close ends the exchange. The connection is kept if the response was read to its
// end and both sides agree.
func (r *Response) Close() {
	cc := r.conn
	if cc == nil {
		return
	}
	r.conn = nil
	cc.reader.src = cc.stream
	if r.canceler.detach() != nil || !r.Body.Ended() || !r.sent || r.close || cc.reader.buffered() > 0 {
		cc.stream.close()
		return
	}
	cc.client.put(cc)
}
