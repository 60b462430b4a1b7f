package http1

import (
	"bytes"
	"io"
)

// bufferSize holds the head and the body of a small message. It is memory that
// every open connection has.
const bufferSize = 4 << 10

// reader is the buffer of one connection. Heads are copied out of it, so that it
// can be filled again while a head is in use.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int   // buf[r:w] is unread
	err  error // what the source ended with, given once buf is empty
}

// isEOF reports whether err is the end of a source. A wrapped io.EOF is not, but a
// failure of what the source is made of.
func isEOF(err error) bool {
	return err == io.EOF //nolint:errorlint // a wrapped io.EOF is a failure of what the source is made of
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
		r.makeRoom()
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		if isEOF(err) {
			r.err = err
		}
		return nil // another error comes again
	}
	if isEOF(err) {
		r.err = err
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (r *reader) makeRoom() {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
		return
	}
	grown := make([]byte, max(bufferSize, 2*len(r.buf)))
	r.w = copy(grown, r.buf[:r.w])
	r.buf = grown
}

// shrink gives back the memory of a large head.
func (r *reader) shrink() {
	if r.r == r.w && len(r.buf) > bufferSize {
		r.buf, r.r, r.w = nil, 0, 0
	}
}

// Read implements io.Reader. Large reads go past an empty buffer.
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

// head appends the next head to dst: start line, fields and the empty line. It
// returns io.EOF only if the connection ended before the first byte. skip is how
// many empty lines may come first (RFC 9112, 2.2).
func (r *reader) head(dst []byte, limits Limits, skip int) ([]byte, error) {
	if err := r.skipEmptyLines(skip); err != nil {
		return dst, err
	}
	line, lines := 0, 0 // offset of the current line, and how many are complete
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

func (r *reader) skipEmptyLines(most int) error {
	for range most {
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
