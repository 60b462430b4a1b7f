package proxy

import (
	"errors"
	"io"
	"net/http"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/crc64"
)

// firstPiece is the memory that a buffered body has at first: a length that is only
// announced takes none.
const firstPiece = 8 << 10

// upload reads the body of a request from the client. It counts and sums what it
// reads, and marks what the client's side fails with.
type upload struct {
	x      *http1.Exchange
	limit  int64 // in bytes; zero: none
	hasCRC bool  // crc is kept
	crc    uint64
	unread []byte // was read ahead and is to be read once more
}

// Read implements io.Reader. Its errors are a *clientError or a *coserr.Error.
func (u *upload) Read(p []byte) (int, error) {
	if len(u.unread) > 0 { // counted already
		n := copy(p, u.unread)
		if u.unread = u.unread[n:]; len(u.unread) == 0 {
			u.unread = nil // its memory is not needed any more
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

// readAll reads a body of this length into buf, or into more memory as it comes.
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

// complete reports whether all that the client announced has been read.
func (u *upload) complete() bool { return len(u.unread) == 0 && u.x.Body.Ended() }

// checkBodySize refuses a body of which so much is announced, or has come.
func checkBodySize(limit, length int64) error {
	if limit == 0 || length <= limit {
		return nil
	}
	return coserr.New(http.StatusRequestEntityTooLarge, "EntityTooLarge",
		"The request body is larger than %d bytes; nothing was stored.", limit).
		Try("Upload it in parts, or raise", Setting{Name: "Limits.BodyBytes"})
}

func lengthRequiredError() error {
	return coserr.New(http.StatusLengthRequired, "MissingContentLength",
		"COS needs the body's length for this request, and the body in chunks is longer than %d KiB. Send it with a Content-Length header.", bufferLimit>>10)
}
