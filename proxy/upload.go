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

// upload reads a request body from the client. It computes the CRC-64 of the bytes, and
// wraps errors of the client's connection in a clientError.
type upload struct {
	x      *http1.Exchange
	limit  int64 // in bytes; zero: no limit
	hasCRC bool  // compute crc
	crc    uint64
	unread []byte // bytes read ahead, which Read returns again
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
	n, err := u.x.Body.Read(p)
	if u.hasCRC {
		u.crc = crc64.Update(u.crc, p[:n])
	}
	if large := checkBodySize(u.limit, u.x.Body.Count()); large != nil {
		return 0, large
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = &clientError{err}
	}
	return n, err
}

// Interrupt implements http1.Source.
func (u *upload) Interrupt(cause error) { u.x.InterruptBody(cause) }

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
func (u *upload) complete() bool { return len(u.unread) == 0 && u.x.Body.Ended() }

// checkBodySize rejects a body if its announced or received length exceeds the limit.
func checkBodySize(limit, length int64) error {
	if limit == 0 || length <= limit {
		return nil
	}
	return coserr.New(http.StatusRequestEntityTooLarge, "EntityTooLarge",
		"The request body exceeds %d bytes; nothing was stored.", limit).
		Try("Use a multipart upload, or raise", Setting{Name: "Limits.BodyBytes"})
}

func lengthRequiredError() error {
	return coserr.New(http.StatusLengthRequired, "MissingContentLength",
		"COS requires the length of the body for this request, and the chunked body is longer than %d KiB. Send Content-Length.", bufferLimit>>10)
}
