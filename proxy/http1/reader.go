package http1

import (
	"bytes"
	"io"
)

// bufferSize is the initial size of the buffer, which every open connection has. A
// small message fits.
const bufferSize = 4 << 10

// reader is the read buffer of one connection. readHead copies heads out of it, so that
// it can be refilled while a head is in use.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int   // buf[r:w] is unread
	err  error // io.EOF of src, returned when buf is empty
}

// isEOF reports whether err is the regular end of a source. A wrapped io.EOF is not: it
// is a failure below the source.
func isEOF(err error) bool {
	return err == io.EOF //nolint:errorlint // a wrapped io.EOF is a failure below the source
}

func (r *reader) buffered() int { return r.w - r.r }

// fill reads more into the buffer, which grows if it is full.
func (r *reader) fill() error {
	if r.err != nil {
		return r.err
	}
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if r.w == len(r.buf) {
		r.grow()
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		if isEOF(err) {
			r.err = err
		}
		return nil // src returns any other error again
	}
	if isEOF(err) {
		r.err = err
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (r *reader) grow() {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
		return
	}
	grown := make([]byte, max(bufferSize, 2*len(r.buf)))
	r.w = copy(grown, r.buf[:r.w])
	r.buf = grown
}

// shrink frees a buffer that grew for a large head.
func (r *reader) shrink() {
	if r.r == r.w && len(r.buf) > bufferSize {
		r.buf, r.r, r.w = nil, 0, 0
	}
}

// Read implements io.Reader. Large reads bypass an empty buffer.
func (r *reader) Read(p []byte) (int, error) {
	if r.r == r.w {
		if len(p) >= bufferSize && r.err == nil {
			n, err := r.src.Read(p)
			if n > 0 {
				err = nil
			}
			return n, err
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.r:r.w])
	r.r += n
	return n, nil
}

// readHead appends the next head to dst: start line, field lines and the empty line. It
// returns io.EOF only if the connection ended before the first byte. It skips up to skip
// empty lines before the head (RFC 9112, 2.2).
func (r *reader) readHead(dst []byte, limits Limits, skip int) ([]byte, error) {
	if err := r.skipEmptyLines(skip); err != nil {
		return dst, err
	}
	line, lines := 0, 0 // offset of the current line, number of complete lines
	for seen := 0; ; {
		text := r.buf[r.r:r.w]
		for {
			i := bytes.IndexByte(text[seen:], '\n')
			if i < 0 {
				break
			}
			end := seen + i
			if end == line || text[end-1] != '\r' {
				return dst, Error{RuleLineEnd, "a line of the head does not end in CR LF"}
			}
			seen = end + 1
			if end-1 == line {
				if lines == 0 {
					return dst, Error{RuleRequestLine, "the message begins with too many empty lines"}
				}
				return r.take(dst, seen), nil
			}
			if lines == 0 && end-1-line > limits.LineBytes {
				return dst, errLineTooLong
			}
			lines++
			line = seen
			if seen > limits.HeadBytes {
				return dst, errHeadTooLarge
			}
		}
		seen = len(text)
		switch {
		case lines == 0 && seen > limits.LineBytes+len("\r\n"):
			return dst, errLineTooLong
		case seen > limits.HeadBytes:
			return dst, errHeadTooLarge
		}
		if err := r.fill(); err != nil {
			if isEOF(err) && seen > 0 {
				err = Error{RuleCut, "the connection ended in the middle of a head"}
			}
			return dst, err
		}
	}
}

var (
	errLineTooLong  = Error{RuleLineTooLong, "the start line is too long"}
	errHeadTooLarge = Error{RuleHeadTooLarge, "the head is too large"}
)

// take appends the next n bytes to dst and removes them.
func (r *reader) take(dst []byte, n int) []byte {
	dst = append(dst, r.buf[r.r:r.r+n]...)
	r.r += n
	r.shrink()
	return dst
}

func (r *reader) skipEmptyLines(limit int) error {
	for range limit {
		for r.buffered() < 2 {
			if r.buffered() == 1 && r.buf[r.r] != '\r' {
				return nil
			}
			if err := r.fill(); err != nil {
				return err
			}
		}
		if r.buf[r.r] != '\r' || r.buf[r.r+1] != '\n' {
			return nil
		}
		r.r += 2
	}
	return nil
}
