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
	// bufferSize is the size of the buffer in bytes. The trailers must be shorter.
	bufferSize = 4 << 10
	// maxHeader is the maximum length of a chunk header in bytes, without its line end. It
	// has room for an ECDSA signature.
	maxHeader = 256
)

// decoder returns the data of the chunks. Its io.EOF says that the raw body ended where the
// coding does, and that the sums have got their expected values.
type decoder struct {
	raw      io.Reader
	form     form
	trailers []*digest.Sum
	left     int64            // bytes of the chunk that Read has not returned
	begun    bool             // a chunk was read; its line end is next if left is 0
	ahead    []byte           // bytes of the raw body that were read, but not decoded
	buf      [bufferSize]byte // ahead is part of it
}

// Read implements io.Reader. It must not be called after an error. It reads the raw body
// into p and removes the chunk headers there: that is faster than to read each chunk and
// each header by itself (BenchmarkUpload in package proxy).
func (d *decoder) Read(p []byte) (int, error) {
	for {
		if d.left == 0 {
			if err := d.next(); err != nil {
				return 0, err
			}
		}
		if len(d.ahead) > 0 {
			n := d.take(p, d.ahead)
			d.ahead = d.ahead[n:]
			return n, nil
		}
		n, err := d.raw.Read(p)
		atEnd := n == 0 && isEOF(err)
		n = d.decode(p[:n])
		switch {
		case atEnd:
			return 0, incomplete("inside a chunk")
		case isEOF(err): // the next read of the raw body returns it again
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// decode decodes raw bytes in place and returns the number of bytes of data, now at the
// beginning of p. It stops before the last chunk, and before a header that is malformed or
// continues after p. The rest is read ahead.
func (d *decoder) decode(p []byte) (n int) {
	rest := p
	for {
		m := d.take(p[n:], rest)
		n, rest = n+m, rest[m:]
		size, length, err := d.header(rest)
		if size == 0 || err != nil {
			// If rest is longer than the buffer, its header is malformed or that of a last
			// chunk before the announced length: an error without the bytes that are left out.
			d.ahead = d.buf[:copy(d.buf[:], rest)]
			return n
		}
		d.left, rest = size, rest[length:]
	}
}

// take copies data of the chunk.
func (d *decoder) take(dst, src []byte) int {
	n := copy(dst, src[:min(int64(len(src)), d.left)])
	d.left -= int64(n)
	return n
}

// next reads the next chunk header. It returns io.EOF after the last chunk, if everything
// after it is correct.
func (d *decoder) next() error {
	for {
		size, length, err := d.header(d.ahead)
		switch {
		case err != nil:
			return err
		case length > 0:
			d.ahead, d.left, d.begun = d.ahead[length:], size, true
			if size > 0 {
				return nil
			}
			return d.end()
		}
		if err := d.fill(); isEOF(err) {
			return incomplete("before its last chunk")
		} else if err != nil {
			return err
		}
	}
}

// end reads everything after the last chunk header. It returns io.EOF if that is correct.
func (d *decoder) end() error {
	rest, err := d.rest()
	if err != nil {
		return err
	}
	if err := d.readTrailers(string(rest)); err != nil {
		return err
	}
	return io.EOF
}

// header parses the line end of a chunk that was read, and the header of the next one. It
// returns the size of the chunk and the length of what it has parsed: 0 if it needs more
// than p.
func (d *decoder) header(p []byte) (size int64, length int, err error) {
	if d.begun {
		line, n, err := cutLine(p)
		if err != nil || n == 0 {
			return 0, 0, err
		}
		if len(line) > 0 {
			return 0, 0, coserr.New(http.StatusBadRequest, "IncompleteBody",
				"A chunk of the aws-chunked body is longer than its header says. Correct the coding in the S3 client.")
		}
		length = n
	}
	line, n, err := cutLine(p[length:])
	if err != nil || n == 0 {
		return 0, 0, err
	}
	size, ok := d.form.parseHeader(line)
	if !ok {
		return 0, 0, coserr.New(http.StatusBadRequest, "IncompleteBody",
			"The aws-chunked body has a malformed chunk header; nothing was stored. Send chunks as x-amz-content-sha256 announces them.")
	}
	return size, length + n, nil
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

// cutLine returns the first line of p without its CR LF, and its length with CR LF: 0 if it
// continues after p.
func cutLine(p []byte) (line []byte, length int, err error) {
	const limit = maxHeader + len("\r\n")
	end := bytes.IndexByte(p[:min(len(p), limit)], '\n')
	switch {
	case end < 0 && len(p) < limit:
		return nil, 0, nil
	case end < 0:
		return nil, 0, coserr.New(http.StatusBadRequest, "IncompleteBody",
			"The aws-chunked body has a chunk that is longer than its header says, or a chunk header over %d bytes. Correct the coding in the S3 client.", maxHeader)
	}
	line, ok := bytes.CutSuffix(p[:end], []byte("\r"))
	if !ok {
		return nil, 0, coserr.New(http.StatusBadRequest, "IncompleteBody",
			"The aws-chunked body has a line that does not end with CR LF; nothing was stored. Correct the coding in the S3 client.")
	}
	return line, end + 1, nil
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

// fill reads more bytes of the raw body ahead, at least one.
func (d *decoder) fill() error {
	kept := copy(d.buf[:], d.ahead)
	n, err := io.ReadAtLeast(d.raw, d.buf[kept:], 1)
	d.ahead = d.buf[:kept+n]
	return err
}

func incomplete(where string) error {
	return coserr.New(http.StatusBadRequest, "IncompleteBody",
		"The aws-chunked body ended %s; nothing was stored. Send it again.", where)
}

// isEOF reports whether err is io.EOF itself: a wrapped one is a failure of the connection.
func isEOF(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}
