package http1

import (
	"errors"
	"io"
	"time"
)

// ResponseWriter writes the response of an Exchange. A handler calls Start, then Field,
// Copy and Int of Builder, then Send, and Write for the rest of the body.
//
// Send adds Content-Length, Transfer-Encoding and Connection. A handler must not write
// these fields.
type ResponseWriter struct {
	Builder

	conn          *serverConn
	status        int
	headSent      bool  // Send has begun to write the head
	close         bool  // the connection ends after this response
	requestUnread bool  // the client may still be sending its request
	length        int64 // of the body in bytes, LengthChunked or LengthToClose
	count         int64 // bytes of the body passed to Send and Write
	err           error // sticky
}

func (w *ResponseWriter) reset() {
	w.Reset()
	if cap(w.buf) > 2*bufferSize {
		w.buf = nil
	}
	*w = ResponseWriter{Builder: w.Builder, conn: w.conn}
}

// Start starts the head. The reason phrase may be empty.
func (w *ResponseWriter) Start(status int, reason string) {
	w.beginResponse(status, reason)
	w.status = status
}

// Status is the status code passed to Start. Zero: Start was not called.
func (w *ResponseWriter) Status() int { return w.status }

// Sent reports whether Send has begun to write the head.
func (w *ResponseWriter) Sent() bool { return w.headSent }

// Count is the number of bytes of the body that were passed to Send and Write.
func (w *ResponseWriter) Count() int64 { return w.count }

var errSendOrder = errors.New("http1: Send was called twice or before Start")

// Send ends the head and sends it with the first bytes of the body, in one write if
// these are few. length is the length of the whole body; a negative length means unknown.
// Send must be called once.
func (w *ResponseWriter) Send(length int64, first []byte) error {
	if w.headSent || w.status == 0 {
		w.err = errSendOrder
		return w.err
	}
	w.setFraming(length)
	head, err := w.Bytes()
	if err != nil {
		w.err = err
		return err
	}
	w.headSent = true
	switch {
	case w.hasNoBody():
		return w.recordError(w.conn.stream.writeParts(head))
	case len(first) > 0 && w.length == LengthChunked:
		w.count = int64(len(first))
		var size [chunkHeadSpace]byte
		return w.recordError(w.conn.stream.writeParts(head, appendChunkSize(size[:0], len(first)), first, crlf))
	case w.length >= 0 && int64(len(first)) > w.length:
		if err := w.recordError(w.conn.stream.writeParts(head)); err != nil {
			return err
		}
		w.err = ErrBodyLength
		return w.err
	}
	w.count = int64(len(first))
	return w.recordError(w.conn.stream.writeParts(head, first))
}

// setFraming chooses the framing of the body and adds the fields for it and for the
// persistence of the connection (RFC 9112, 6 and 9.3).
func (w *ResponseWriter) setFraming(length int64) {
	x := &w.conn.exchange
	w.length = length
	w.decideClose()
	switch {
	case w.status == 204 || w.status < 200:
		w.length = 0
	case length >= 0:
		w.Int("Content-Length", length)
	case w.status == 304 || x.isHead():
		w.length = 0
	case x.Request.Minor == 1:
		w.length = LengthChunked
		w.Field("Transfer-Encoding", "chunked")
	default:
		w.length, w.close = LengthToClose, true
	}
	switch {
	case w.close:
		w.Field("Connection", "close")
	case x.Request.Minor == 0:
		w.Field("Connection", "keep-alive")
	}
}

// decideClose sets w.close if no other request can follow on the connection. It skips
// the rest of a request body if all of it is buffered.
func (w *ResponseWriter) decideClose() {
	x := &w.conn.exchange
	if x.Request.close || w.conn.server.closing.Load() {
		w.close = true
	}
	if x.Body.Ended() || w.requestUnread {
		return
	}
	if !x.Request.expect && x.Body.length > 0 && int64(x.Body.Buffered()) == x.Body.remaining {
		w.conn.reader.r += int(x.Body.remaining)
		x.Body.remaining, x.Body.ended = 0, true
		return
	}
	w.close, w.requestUnread = true, true
}

// isHead reports whether the method is HEAD. If the request line was not read, there is
// no method.
func (x *Exchange) isHead() bool { return string(x.Request.Method) == "HEAD" }

func (w *ResponseWriter) hasNoBody() bool {
	return w.status < 200 || w.status == 204 || w.status == 304 || w.conn.exchange.isHead()
}

// Write writes more of the body. It returns ErrBodyLength if p exceeds the length passed
// to Send.
func (w *ResponseWriter) Write(p []byte) (int, error) {
	switch {
	case w.err != nil:
		return 0, w.err
	case w.hasNoBody() || len(p) == 0:
		return len(p), nil
	case w.length >= 0 && w.count+int64(len(p)) > w.length:
		w.err = ErrBodyLength
		return 0, w.err
	}
	w.count += int64(len(p))
	if w.length != LengthChunked {
		n, err := w.conn.stream.Write(p)
		return n, w.recordError(err)
	}
	return len(p), w.writeChunk(p)
}

func (w *ResponseWriter) writeChunk(p []byte) error {
	w.buf = appendChunkSize(w.buf[:0], len(p))
	return w.recordError(w.conn.stream.writeParts(w.buf, p, crlf))
}

// recordError keeps and returns the first write error. All errors except ErrStalled and
// ErrServerClosed are wrapped in ErrClientGone.
func (w *ResponseWriter) recordError(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrStalled) && !errors.Is(err, ErrServerClosed) {
		err = errors.Join(ErrClientGone, err)
	}
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// Abort resets the connection, so that the client does not take an incomplete body for
// a complete one.
func (w *ResponseWriter) Abort() {
	if w.err == nil {
		w.err = errAborted
	}
	w.conn.stream.reset()
}

var errAborted = errors.New("http1: the response was aborted")

// finish ends the response after the handler has returned. It reports whether another
// request can follow on the connection.
func (w *ResponseWriter) finish() bool {
	switch {
	case w.err != nil, !w.headSent, w.length >= 0 && w.count < w.length && !w.hasNoBody():
		w.Abort()
		return false
	case w.length == LengthChunked:
		if _, err := w.conn.stream.Write([]byte(lastChunk)); err != nil {
			return false
		}
	}
	if w.close {
		w.lingeringClose()
		return false
	}
	return true
}

// Limits of lingeringClose: without a byte, and in total.
const (
	lingerIdleTimeout = time.Second
	lingerTimeout     = 5 * time.Second
)

// lingeringClose closes the write side and reads on for a while if the client may still
// be sending. A full close would make the kernel send a reset for the bytes that arrive
// later, and the client could lose the response that it has not read yet (RFC 9112, 9.6).

func (w *ResponseWriter) lingeringClose() {
	c := w.conn
	if !w.requestUnread || c.stream.closeWrite() != nil {
		return
	}
	c.stream.resume()
	buf := c.reader.buf[:cap(c.reader.buf)]
	if len(buf) == 0 {
		buf = make([]byte, bufferSize)
	}
	for end := time.Now().Add(lingerTimeout); time.Now().Before(end); {
		c.stream.setReadDeadline(waitHead, lingerIdleTimeout, time.Now())
		if _, err := c.stream.Read(buf); err != nil {
			return
		}
	}
}

var _ io.Writer = (*ResponseWriter)(nil)
