package http1

import (
	"io"
)

// Body reads one message body. Read returns io.EOF only if the body is complete by
// its framing (RFC 9112, 8). If the connection ends earlier, Read returns
// io.ErrUnexpectedEOF.
//
// It is not safe for concurrent use.
type Body struct {
	src       *reader
	length    int64 // total bytes, LengthChunked or LengthToClose
	remaining int64 // bytes of the body, or of the current chunk
	count     int64
	ended     bool
	err       error // sticky

	chunkState chunkState
	limits     Limits
	beforeRead func() error // called once, before the first byte is read; nil: not called
}

// reset starts a body of length bytes, LengthChunked or LengthToClose, on src.
func (b *Body) reset(src *reader, length int64, limits Limits) {
	*b = Body{src: src, length: length, remaining: max(length, 0), ended: length == 0, limits: limits}
}

// Length is the announced length in bytes, LengthChunked or LengthToClose.
func (b *Body) Length() int64 { return b.length }

// Count is the number of bytes that Read has returned so far.
func (b *Body) Count() int64 { return b.count }

// Ended reports whether the whole body has been read. It can be true before Read
// has returned io.EOF.
func (b *Body) Ended() bool { return b.ended }

// Buffered is the number of bytes that Read can return without waiting. It is a lower
// bound: zero for a chunked body.
func (b *Body) Buffered() int {
	if b.length == LengthChunked {
		return 0
	}
	return int(min(int64(b.src.buffered()), b.remaining))
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.ended:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if b.beforeRead != nil {
		beforeRead := b.beforeRead
		b.beforeRead = nil
		if b.err = beforeRead(); b.err != nil {
			return 0, b.err
		}
	}
	n, err := b.readFramed(p)
	b.count += int64(n)
	if err != nil && (!isEOF(err) || !b.ended) {
		b.err = err
	}
	return n, err
}

func (b *Body) readFramed(p []byte) (int, error) {
	switch b.length {
	case LengthChunked:
		return b.readChunked(p)
	case LengthToClose:
		n, err := b.src.Read(p)
		b.ended = isEOF(err)
		return n, err
	}
	n, err := b.readCounted(p)
	b.ended = b.remaining == 0 && err == nil
	return n, err
}

// readCounted reads up to b.remaining bytes.
func (b *Body) readCounted(p []byte) (int, error) {
	n, err := b.src.Read(p[:min(int64(len(p)), b.remaining)])
	b.remaining -= int64(n)
	if isEOF(err) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
