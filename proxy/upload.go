package proxy

import (
	"errors"
	"io"
	"net/http"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/crc64"
)

// firstPiece is the initial memory of a buffered body, in bytes. It grows as bytes arrive,
// so a client cannot allocate memory by announcing a length.
const firstPiece = 8 << 10

// upload reads a request body from the client and computes the CRC-64 of the bytes.
type upload struct {
	received receivedBody
	decoded  io.Reader // reads received, and decodes and verifies it; nil: received is the body
	hasCRC   bool      // compute crc
	crc      uint64
	unread   []byte // bytes read ahead, which Read returns again
}

// receivedBody reads a body from the connection of the client, and wraps its errors in a
// clientError.
type receivedBody struct {
	x     *http1.Exchange
	limit int64 // in bytes; zero: no limit
}

// Read implements io.Reader. Its errors are a *clientError or a *coserr.Error.
func (b *receivedBody) Read(p []byte) (int, error) {
	n, err := b.x.Body.Read(p)
	if large := checkBodySize(b.limit, b.x.Body.Count()); large != nil {
		return 0, large
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = &clientError{err}
	}
	return n, err
}

// Read implements io.Reader. Its errors are a *clientError or a *coserr.Error.
func (u *upload) Read(p []byte) (int, error) {
	if len(u.unread) > 0 { // counted already
		n := copy(p, u.unread)
		if u.unread = u.unread[n:]; len(u.unread) == 0 {
			u.unread = nil // release its memory
		}
		return n, nil
	}
	var n int
	var err error
	if u.decoded != nil {
		n, err = u.decoded.Read(p)
	} else {
		n, err = u.received.Read(p)
	}
	if u.hasCRC {
		u.crc = crc64.Update(u.crc, p[:n])
	}
	return n, err
}

// verifyEmpty verifies a body without bytes. Others are verified when their end is read.
func (u *upload) verifyEmpty() error {
	if u.decoded == nil {
		return nil
	}
	var b [1]byte
	if _, err := u.decoded.Read(b[:]); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Interrupt implements http1.Source.
func (u *upload) Interrupt(cause error) { u.received.x.InterruptBody(cause) }

// readAll reads a body of this length into buf. It allocates more memory as bytes arrive.
func (u *upload) readAll(buf []byte, length int64) ([]byte, error) {
	if int64(cap(buf)) < min(length, firstPiece) {
		buf = make([]byte, min(length, firstPiece))
	}
	buf = buf[:min(int64(cap(buf)), length)]
	for n := 0; ; {
		m, err := io.ReadFull(u, buf[n:])
		if n += m; err != nil {
			return nil, err
		}
		if int64(n) == length {
			return buf, nil
		}
		grown := make([]byte, min(length, int64(4*n)))
		copy(grown, buf)
		buf = grown
	}
}

// complete reports whether the complete body was read.
func (u *upload) complete() bool { return len(u.unread) == 0 && u.received.x.Body.Ended() }

// checkBodySize rejects a body if its announced or received length exceeds the limit.
func checkBodySize(limit, length int64) error {
	if limit == 0 || length <= limit {
		return nil
	}
	return coserr.New(http.StatusRequestEntityTooLarge, "EntityTooLarge",
		"The request body exceeds %d bytes; nothing was stored.", limit).
		Try("Use a multipart upload, or raise", Setting{Name: "Limits.BodyBytes"})
}
