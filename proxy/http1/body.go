package http1

import (
	"io"
)

// Body reads one message body. Read returns io.EOF only when the body has ended
// where its framing says; a body that is cut off ends in io.ErrUnexpectedEOF.
//
// It is not safe for concurrent use.
type Body struct {
	src    *reader
	length int64 // LengthChunked, LengthToClose, or the bytes in all
	left   int64 // of the body, or of the chunk
	read   int64
	ended  bool
	err    error // sticky

	chunks chunkState
	limits Limits
	first  func() error // called before the first byte is taken; nil: nothing to do
}

// reset begins a body of this length on src.
func (b *Body) reset(src *reader, length int64, limits Limits) {
	*b = Body{src: src, length: length, left: max(length, 0), ended: length == 0, limits: limits}
}

// Length is the announced length in bytes, LengthChunked or LengthToClose.
func (b *Body) Length() int64 { return b.length }

// Count is how many bytes have been read so far.
func (b *Body) Count() int64 { return b.read }

// Ended reports whether the whole body has been read. It can be true before Read
// has returned io.EOF.
func (b *Body) Ended() bool { return b.ended }

// Buffered is how many bytes of the body can be read without waiting. It may be
// too low.
func (b *Body) Buffered() int {
	if b.length == LengthChunked {
		return 0
	}
	return int(min(int64(b.src.buffered()), b.left))
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
	if b.first != nil {
		begin := b.first
		b.first = nil
		if b.err = begin(); b.err != nil {
			return 0, b.err
		}
	}
	n, err := b.next(p)
	b.read += int64(n)
	if err != nil && (!isEOF(err) || !b.ended) {
		b.err = err
	}
	return n, err
}

func (b *Body) next(p []byte) (int, error) {
	switch b.length {
	case LengthChunked:
		return b.nextChunk(p)
	case LengthToClose:
		n, err := b.src.Read(p)
		b.ended = isEOF(err)
		return n, err
	}
	n, err := b.part(p)
	b.ended = b.left == 0 && err == nil
	return n, err
}

// part reads from what is left of a known number of bytes.
func (b *Body) part(p []byte) (int, error) {
	n, err := b.src.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if isEOF(err) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
