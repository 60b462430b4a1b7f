package http1

import (
	"errors"
	"io"
	"time"
)

// ResponseWriter writes the response of an Exchange: Start, fields by the methods of
// Builder, Send, and Write for the rest of the body.
//
// Content-Length, Transfer-Encoding and Connection are the server's: they must not
// be written as fields.
type ResponseWriter struct {
	Builder

	conn   *serverConn
	status int
	sent   bool  // the head has left
	close  bool  // the connection ends with this response
	unread bool  // the client may still be sending
	length int64 // of the body; LengthChunked, LengthToClose
	count  int64 // bytes of the body that were written
	err    error
}

func (w *ResponseWriter) reset() {
	w.Reset()
	if cap(w.buf) > 2*bufferSize {
		w.buf = nil
	}
	*w = ResponseWriter{Builder: w.Builder, conn: w.conn}
}

// Start begins the head. An empty reason is sent as such.
func (w *ResponseWriter) Start(status int, reason string) {
	w.beginResponse(status, reason)
	w.status = status
}

// Status is that of Start; zero before it.
func (w *ResponseWriter) Status() int { return w.status }

// Sent reports whether the head has left.
func (w *ResponseWriter) Sent() bool { return w.sent }

// Count is how many bytes of the body have been written.
func (w *ResponseWriter) Count() int64 { return w.count }

// closeAfter makes the response announce the end of the connection.
func (w *ResponseWriter) closeAfter() { w.close = true }

var errSent = errors.New("http1: the head of the response was sent twice")

// Send ends the head and sends it with the first bytes of the body, in one write
// where they are few. length is that of the body, negative if it is not known.
func (w *ResponseWriter) Send(length int64, first []byte) error {
	if w.sent || w.status == 0 {
		w.err = errSent
		return w.err
	}
	w.frame(length)
	head, err := w.Bytes()
	if err != nil {
		w.err = err
		return err
	}
	w.sent = true
	switch {
	case w.bodyless():
		return w.note(w.conn.stream.writeParts(head))
	case len(first) > 0 && w.length == LengthChunked:
		w.count = int64(len(first))
		var size [chunkHead]byte
		return w.note(w.conn.stream.writeParts(head, appendChunkSize(size[:0], len(first)), first, crlf))
	case w.length >= 0 && int64(len(first)) > w.length:
		if err := w.note(w.conn.stream.writeParts(head)); err != nil {
			return err
		}
		w.err = ErrBodyLength
		return w.err
	}
	w.count = int64(len(first))
	return w.note(w.conn.stream.writeParts(head, first))
}

// frame decides how the body and the connection end, and says so.
func (w *ResponseWriter) frame(length int64) {
	x := &w.conn.exchange
	w.length = length
	w.endsConnection()
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

// endsConnection decides whether another request can follow.
func (w *ResponseWriter) endsConnection() {
	x := &w.conn.exchange
	if x.Request.close || w.conn.server.closing.Load() {
		w.close = true
	}
	if x.Body.Ended() || w.unread {
		return
	}
	if !x.Request.expect && x.Body.length > 0 && int64(x.Body.Buffered()) == x.Body.left {
		w.conn.reader.r += int(x.Body.left) // all that is left is here
		x.Body.left, x.Body.ended = 0, true
		return
	}
	w.close, w.unread = true, true
}

// isHead reports whether the response has no body whatever its head says. Without
// a request head there was no method.
func (x *Exchange) isHead() bool { return string(x.Request.Method) == "HEAD" }

func (w *ResponseWriter) bodyless() bool {
	return w.status < 200 || w.status == 204 || w.status == 304 || w.conn.exchange.isHead()
}

// Write writes more of the body.
func (w *ResponseWriter) Write(p []byte) (int, error) {
	switch {
	case w.err != nil:
		return 0, w.err
	case w.bodyless() || len(p) == 0:
		return len(p), nil
	case w.length >= 0 && w.count+int64(len(p)) > w.length:
		w.err = ErrBodyLength
		return 0, w.err
	}
	w.count += int64(len(p))
	if w.length != LengthChunked {
		n, err := w.conn.stream.Write(p)
		return n, w.note(err)
	}
	return len(p), w.writeChunk(p)
}

func (w *ResponseWriter) writeChunk(p []byte) error {
	w.buf = appendChunkSize(w.buf[:0], len(p))
	return w.note(w.conn.stream.writeParts(w.buf, p, crlf))
}

// note keeps the first error of the connection. A client that cannot be written to
// has left.
func (w *ResponseWriter) note(err error) error {
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

// Abort breaks the connection, so that no client takes what it has for the whole
// body.
func (w *ResponseWriter) Abort() {
	if w.err == nil {
		w.err = errAborted
	}
	w.conn.stream.reset()
}

var errAborted = errors.New("http1: the response was aborted")

// finish ends the response, and reports whether another request can follow.
func (w *ResponseWriter) finish() bool {
	switch {
	case w.err != nil, !w.sent, w.length >= 0 && w.count < w.length && !w.bodyless():
		w.Abort()
		return false
	case w.length == LengthChunked:
		if _, err := w.conn.stream.Write([]byte(lastChunk)); err != nil {
			return false
		}
	}
	if w.close {
		w.linger()
		return false
	}
	return true
}

// A connection that is closed while bytes of the client are in flight is reset,
// and with the reset go responses that the client has not read yet (RFC 9112,
// 9.6). So the server reads on for a while after it has refused an upload.
const (
	lingerIdle = time.Second
	lingerTime = 5 * time.Second
)

func (w *ResponseWriter) linger() {
	c := w.conn
	if !w.unread || c.stream.closeWrite() != nil {
		return
	}
	c.stream.resume()
	buf := c.reader.buf[:cap(c.reader.buf)]
	if len(buf) == 0 {
		buf = make([]byte, bufferSize)
	}
	for end := time.Now().Add(lingerTime); time.Now().Before(end); {
		c.stream.setRead(forHead, lingerIdle, time.Now())
		if _, err := c.stream.Read(buf); err != nil {
			return
		}
	}
}

var _ io.Writer = (*ResponseWriter)(nil)
