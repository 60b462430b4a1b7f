package http1

import (
	"bytes"
	"io"
	"strconv"
)

// chunkState is the position of a reader in the chunked coding (RFC 9112, 7.1).
type chunkState int

const (
	beforeChunkSize chunkState = iota
	inChunkData
	afterChunkData
)

// maxChunkLine is the maximum length of a chunk-size line with its extensions. It
// bounds the bytes that a sender can make us read per byte of the body (RFC 9112,
// 7.1.1).
const maxChunkLine = 256

var errChunk = Error{RuleChunk, "the chunked coding of the body is not valid"}

func (b *Body) readChunked(p []byte) (int, error) {
	if b.chunkState == afterChunkData {
		if err := b.readChunkEnd(); err != nil {
			return 0, err
		}
	}
	if b.chunkState == beforeChunkSize {
		size, err := b.readChunkSize()
		if err != nil {
			return 0, err
		}
		if size == 0 {
			if err := b.skipTrailers(); err != nil {
				return 0, err
			}
			b.ended = true
			return 0, io.EOF
		}
		b.remaining, b.chunkState = size, inChunkData
	}
	n, err := b.readCounted(p)
	if b.remaining == 0 && err == nil {
		b.chunkState = afterChunkData
	}
	return n, err
}

func (b *Body) readChunkEnd() error {
	line, err := b.readLine(len("\r\n"))
	if err == nil && len(line) > 0 {
		err = errChunk
	}
	b.chunkState = beforeChunkSize
	return err
}

// readChunkSize reads a chunk-size line. It ignores extensions (RFC 9112, 7.1.1).
func (b *Body) readChunkSize() (int64, error) {
	line, err := b.readLine(maxChunkLine)
	if err != nil {
		return 0, err
	}
	digits, extensions, _ := bytes.Cut(line, []byte(";"))
	if !allIn(&valueByte, extensions) {
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

// skipTrailers reads and discards the trailer section (RFC 9112, 7.1.2).
func (b *Body) skipTrailers() error {
	size := 0
	for range b.limits.Fields + 1 {
		line, err := b.readLine(b.limits.HeadBytes - size)
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

// readLine returns the next line without its CR LF. The line is valid until the next
// read.
func (b *Body) readLine(limit int) ([]byte, error) {
	for seen := 0; ; {
		text := b.src.buf[b.src.r:b.src.w]
		if i := bytes.IndexByte(text[seen:], '\n'); i >= 0 {
			end := seen + i
			if end == 0 || text[end-1] != '\r' || end-1 > limit {
				return nil, errChunk
			}
			b.src.r += end + 1
			return text[:end-1], nil
		}
		if seen = len(text); seen > limit+len("\r\n") {
			return nil, errChunk
		}
		if err := b.src.fill(); isEOF(err) {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
}

// appendChunkSize appends the chunk-size line of a chunk of n bytes.
func appendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

var crlf = []byte("\r\n")

const lastChunk = "0\r\n\r\n"
