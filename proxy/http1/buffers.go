package http1

import "sync"

// Bodies move through buffers of two sizes. Large ones save system calls, most of all
// over TLS, where they hold several records. At most maxLargePieces are in use at a
// time, 16 MiB in total. Stalled transfers may hold all of them; other transfers then
// use small ones.
const (
	smallPieceSize = 32 << 10
	largePieceSize = 512 << 10
	maxLargePieces = 32
)

var (
	smallPool  = sync.Pool{New: func() any { return new([smallPieceSize]byte) }}
	largePool  = sync.Pool{New: func() any { return new([largePieceSize]byte) }}
	largeSlots = make(chan struct{}, maxLargePieces)
)

// Piece is a borrowed buffer for a part of a body. The zero value holds no buffer.
type Piece struct {
	// Bytes is the buffer.
	Bytes []byte

	small *[smallPieceSize]byte
	large *[largePieceSize]byte
}

// BorrowPiece returns a buffer for a body of length bytes: 32 KiB, or 512 KiB for a
// longer body if one is free. A negative length means unknown. The caller must call
// Return.
func BorrowPiece(length int64) Piece {
	if length > smallPieceSize {
		if p, ok := borrowLarge(); ok {
			return p
		}
	}
	b := smallPool.Get().(*[smallPieceSize]byte)
	return Piece{Bytes: b[:], small: b}
}

// borrowLarge returns a large buffer unless maxLargePieces are in use.
func borrowLarge() (Piece, bool) {
	select {
	case largeSlots <- struct{}{}:
		b := largePool.Get().(*[largePieceSize]byte)
		return Piece{Bytes: b[:], large: b}, true
	default:
		return Piece{}, false
	}
}

// Return releases the buffer. Bytes must not be used afterwards. A second call does
// nothing.
func (p *Piece) Return() {
	switch {
	case p.large != nil:
		largePool.Put(p.large)
		<-largeSlots
	case p.small != nil:
		smallPool.Put(p.small)
	}
	*p = Piece{}
}
