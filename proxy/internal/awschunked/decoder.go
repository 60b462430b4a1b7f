package awschunked

import (
	"bytes"
	"io"
	"math"
	"net/http"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
)

const (
	// bufferSize is how many bytes are read ahead for chunk headers. The trailers must be
	// shorter. It is small, because data in the buffer is copied.
	bufferSize = 4 << 10
	// maxHeader is the maximum length of a chunk header in bytes, without its line end. It
	// has room for an ECDSA signature.
	maxHeader = 256
	// maxEmptyReads is how many reads without bytes or an error are accepted in succession,
	// as in package bufio.
	maxEmptyReads = 100
)

// decoder returns the data of the chunks. Its io.EOF says that the raw body ended where the
// coding does, and that the sums have got their expected values.
type decoder struct {
	raw      io.Reader
	form     form
	trailers []*digest.Sum
	left     int64 // bytes of the chunk that Read has not returned
	begun    bool  // a chunk was read; its line end is next if left is 0
	ahead    []byte
	buf      [bufferSize]byte // ahead is part of it
}

// Read implements io.Reader. It must not be called after an error.
func (d *decoder) Read(p []byte) (int, error) {
	if d.left == 0 {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	p = p[:min(int64(len(p)), d.left)]
	n := copy(p, d.ahead)
	d.ahead = d.ahead[n:]
	var err error
	if n < len(p) {
		var m int
		m, err = d.raw.Read(p[n:])
		n += m
	}
	d.left -= int64(n)
	if isEOF(err) {
		if err = nil; n == 0 { // otherwise the next read of the raw body returns io.EOF again
			err = incomplete("inside a chunk")
		}
	}
	return n, err
}

// next reads the next chunk header. It returns io.EOF after the last chunk, if everything
// after it is correct.
func (d *decoder) next() error {
	if d.begun {
		line, err := d.line()
		if err != nil {
			return err
		}
		if len(line) > 0 {
			return coserr.New(http.StatusBadRequest, "IncompleteBody",
				"A chunk of the aws-chunked body is longer than its header says. Correct the coding in the S3 client.")
		}
	}
	d.begun = true
	line, err := d.line()
	if err != nil {
		return err
	}
	size, ok := d.form.parseHeader(line)
	if !ok {
		return coserr.New(http.StatusBadRequest, "IncompleteBody",
			"The aws-chunked body has a malformed chunk header; nothing was stored. Send chunks as x-amz-content-sha256 announces them.")
	}
	if d.left = size; size > 0 {
		return nil
	}
	rest, err := d.rest()
	if err != nil {
		return err
	}
	if err := d.readTrailers(string(rest)); err != nil {
		return err
	}
	return io.EOF
}

// parseHeader returns the size of a chunk. ok is false if the header is malformed.
func (f form) parseHeader(line []byte) (size int64, ok bool) {
	digits, extension, extended := bytes.Cut(line, []byte(";"))
	for _, c := range digits {
		digit := hexDigit(c)
		if digit < 0 || size > math.MaxInt64>>4 {
			return 0, false
		}
		size = size<<4 | digit
	}
	if len(digits) == 0 || extended != (f.signature != unsigned) {
		return 0, false
	}
	if !extended {
		return size, true
	}
	signature, ok := bytes.CutPrefix(extension, []byte("chunk-signature="))
	return size, ok && f.signature.valid(signature)
}

// line returns the next line without its CR LF. It is valid until the next call of a method.
func (d *decoder) line() ([]byte, error) {
	for {
		if end := bytes.IndexByte(d.ahead[:min(len(d.ahead), maxHeader+len("\r\n"))], '\n'); end >= 0 {
			line, ok := bytes.CutSuffix(d.ahead[:end], []byte("\r"))
			if !ok {
				return nil, coserr.New(http.StatusBadRequest, "IncompleteBody",
					"The aws-chunked body has a line that does not end with CR LF; nothing was stored. Correct the coding in the S3 client.")
			}
			d.ahead = d.ahead[end+1:]
			return line, nil
		}
		if len(d.ahead) >= maxHeader+len("\r\n") {
			return nil, coserr.New(http.StatusBadRequest, "IncompleteBody",
				"The aws-chunked body has a chunk that is longer than its header says, or a chunk header over %d bytes. Correct the coding in the S3 client.", maxHeader)
		}
		if err := d.fill(); isEOF(err) {
			return nil, incomplete("before its last chunk")
		} else if err != nil {
			return nil, err
		}
	}
}

// rest returns everything up to the end of the raw body.
func (d *decoder) rest() ([]byte, error) {
	for {
		switch err := d.fill(); {
		case isEOF(err):
			return d.ahead, nil
		case err != nil:
			return nil, err
		case len(d.ahead) == len(d.buf):
			return nil, malformedTrailer("trailers of 4 KiB or more, or bytes after its end")
		}
	}
}

// fill reads more bytes of the raw body ahead, at least one. It returns io.EOF only without
// bytes.
func (d *decoder) fill() error {
	kept := copy(d.buf[:], d.ahead)
	for range maxEmptyReads {
		n, err := d.raw.Read(d.buf[kept:])
		d.ahead = d.buf[:kept+n]
		if err != nil && (n == 0 || !isEOF(err)) {
			return err
		}
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

func incomplete(where string) error {
	return coserr.New(http.StatusBadRequest, "IncompleteBody",
		"The aws-chunked body ended %s; nothing was stored. Send it again.", where)
}

// isEOF reports whether err is io.EOF itself: a wrapped one is a failure of the connection.
func isEOF(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}
