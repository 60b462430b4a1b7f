package digest

import (
	"io"
	"net/http"

	"cosproxy/proxy/internal/coserr"
)

// Reader reads a body with a known length and verifies its sums. The Read that reaches the
// length returns its bytes, together with io.EOF, only after the underlying reader returned
// io.EOF and all sums match. So a caller that counts bytes never has all of them of a body
// that is damaged, longer or shorter. Read a body of length 0 too, with room for a byte:
// its first Read verifies it.
type Reader struct {
	r     io.Reader
	left  int64 // bytes that Read has not returned
	sums  []*Sum
	err   error   // Read returns it from now on
	probe [1]byte // a buffer for the read after the last byte
}

// NewReader returns a Reader of a body with length bytes, which must not be negative. A sum
// may get its expected value as late as the io.EOF of r, for example from a trailer.
func NewReader(r io.Reader, length int64, sums ...*Sum) *Reader {
	return &Reader{r: r, left: length, sums: sums}
}

// Read implements io.Reader. Its errors are a *coserr.Error with status 400 (IncompleteBody
// for a wrong length, or an error of Sum.Check), and those of the underlying reader,
// unchanged. All later calls return the same error.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := 0, error(nil)
	if r.left > 0 {
		n, err = r.r.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		for _, s := range r.sums {
			_, _ = s.Write(p[:n])
		}
	}
	switch {
	case r.left == 0:
		if r.err = r.end(err); !isEOF(r.err) {
			n = 0
		}
	case isEOF(err):
		r.err = coserr.New(http.StatusBadRequest, "IncompleteBody",
			"The body is shorter than its announced length; nothing was stored. Send it again.")
	default:
		r.err = err
	}
	return n, r.err
}

// end verifies the body after its last byte, which arrived together with err. It returns
// io.EOF if the body is good.
func (r *Reader) end(err error) error {
	if err == nil {
		var n int
		if n, err = io.ReadFull(r.r, r.probe[:]); n > 0 {
			return coserr.New(http.StatusBadRequest, "IncompleteBody",
				"The body is longer than its announced length; nothing was stored. Correct the length, or the body.")
		}
	}
	if !isEOF(err) {
		return err
	}
	for _, s := range r.sums {
		if err := s.Check(); err != nil {
			return err
		}
	}
	return io.EOF
}

// isEOF reports whether err is io.EOF itself: a wrapped one is a failure of the connection.
func isEOF(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}
