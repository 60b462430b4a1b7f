package http1

import (
	"bytes"
	"io"
	"strconv"
)

// chunkState is where in the chunked coding (RFC 9112, 7.1) a body is.
type chunkState int

const (
	beforeSize chunkState = iota
	inChunk
	afterChunk
)

// maxChunkLine bounds a size with its extensions, and so what a sender can have
// read without sending a byte of the body.
const maxChunkLine = 256

var errChunk = Error{RuleChunk, "the chunked coding of the body is not valid"}

func (b *Body) nextChunk(p []byte) (int, error) {
	if b.chunks == afterChunk {
		if err := b.chunkEnd(); err != nil {
			return 0, err
		}
	}
	if b.chunks == beforeSize {
		size, err := b.chunkSize()
		if err != nil {
			return 0, err
		}
		if size == 0 {
			if err := b.trailers(); err != nil {
				return 0, err
			}
			b.ended = true
			return 0, io.EOF
		}
		b.left, b.chunks = size, inChunk
	}
	n, err := b.part(p)
	if b.left == 0 && err == nil {
		b.chunks = afterChunk
	}
	return n, err
}

func (b *Body) chunkEnd() error {
	line, err := b.line(len("\r\n"))
	if err == nil && len(line) > 0 {
		err = errChunk
	}
	b.chunks = beforeSize
	return err
}

// chunkSize reads a size. Extensions are dropped (RFC 9112, 7.1.1): nobody on this
// side of the connection knows any.
func (b *Body) chunkSize() (int64, error) {
	line, err := b.line(maxChunkLine)
	if err != nil {
		return 0, err
	}
	digits, extensions, _ := bytes.Cut(line, []byte(";"))
	if !all(&valueByte, extensions) {
		return 0, errChunk
	}
	digits = bytes.TrimRight(digits, " \t") // RFC 9112, 7.1.1: BWS before an extension
	if len(digits) == 0 || len(digits) > 15 {
		return 0, errChunk
	}
	var size int64
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			size = size<<4 | int64(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			size = size<<4 | int64(c|0x20-'a'+10)
		default:
			return 0, errChunk
		}
	}
	return size, nil
}

// trailers reads and drops the trailer section (RFC 9112, 7.1.2).
func (b *Body) trailers() error {
	size := 0
	for range b.limits.Fields + 1 {
		line, err := b.line(b.limits.HeadBytes - size)
		switch {
		case err != nil:
			return err
		case len(line) == 0:
			return nil
		}
		if _, err := parseField(line); err != nil {
			return err
		}
		size += len(line) + len("\r\n")
	}
	return Error{RuleHeadTooLarge, "the body has too many trailer fields"}
}

// line returns the next line without its CR LF. It is valid until the next read.
func (b *Body) line(most int) ([]byte, error) {
	for seen := 0; ; {
		text := b.src.buf[b.src.r:b.src.w]
		if i := bytes.IndexByte(text[seen:], '\n'); i >= 0 {
			end := seen + i
			if end == 0 || text[end-1] != '\r' || end-1 > most {
				return nil, errChunk
			}
			b.src.r += end + 1
			return text[:end-1], nil
		}
		if seen = len(text); seen > most+len("\r\n") {
			return nil, errChunk
		}
		if err := b.src.fill(); isEOF(err) {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
}

// appendChunkSize begins a chunk of n bytes.
func appendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

var crlf = []byte("\r\n")

const lastChunk = "0\r\n\r\n"
