package http1

import "time"

// Response is the response of an origin. The caller must call Close or Discard.
type Response struct {
	ResponseHead
	// Body is the body of the response. Read also returns ErrStalled and the cause of
	// Canceler.Cancel.
	Body Body
	// Reused reports whether the connection had carried a request before.
	Reused bool

	conn        *clientConn
	canceler    *Canceler
	requestSent bool // the whole request was written
}

// slowBodySource reads the body of a response. When the body is slow, it calls onSlow
// of the canceler, so that a disconnect of the client is noticed.
type slowBodySource struct{ conn *clientConn }

// Read implements io.Reader.
func (b *slowBodySource) Read(p []byte) (int, error) {
	cc, s := b.conn, b.conn.stream
	slow := cc.resp.canceler.onSlow
	if slow == nil || s.waiting == waitBodyEnd || s.stallTimeout <= slowAfter {
		return s.Read(p)
	}
	s.extendReadDeadline(waitUntilSlow, slowAfter)
	n, err := s.Read(p)
	if n > 0 || !isDeadline(err) {
		return n, err
	}
	defer slow()()
	s.setReadDeadline(waitBody, s.stallTimeout-slowAfter, time.Now())
	return s.Read(p)
}

// Sent reports whether the whole request was written before the response arrived.
func (r *Response) Sent() bool { return r.requestSent }

// BodyTimeout sets the time for the whole rest of the body, from now. Zero: restores
// the stall timeout.
func (r *Response) BodyTimeout(d time.Duration) {
	switch {
	case r.conn == nil || r.Body.Ended():
	case d == 0:
		r.conn.stream.extendReadDeadline(waitBody, r.conn.stream.stallTimeout)
	default:
		r.conn.stream.setReadDeadline(waitBodyEnd, d, time.Now())
	}
}

// Discard reads the rest of the body, up to limit bytes within timeout, so that the
// connection can be reused, and closes the response.
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

// Close ends the exchange. It keeps the connection if the request was sent and the
// response read completely, and the origin did not send Connection: close. A second
// call does nothing.
func (r *Response) Close() {
	cc := r.conn
	if cc == nil {
		return
	}
	r.conn = nil
	cc.reader.src = cc.stream
	if r.canceler.detach() != nil || !r.Body.Ended() || !r.requestSent || r.close || cc.reader.buffered() > 0 {
		cc.stream.close()
		return
	}
	cc.client.put(cc)
}
