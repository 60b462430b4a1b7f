package http1

import "sync"

// Bodies move through pieces of one of two sizes: large ones save system calls, most
// of all over TLS, where they are coalesced records. No more than maxLarge are lent at a
// time, 16 MiB in all: stalled transfers can hold those, and the others continue with
// small ones.
const (
	smallPiece = 32 << 10
	largePiece = 512 << 10
	maxLarge   = 32
)

var (
	smallPieces = sync.Pool{New: func() any { return new([smallPiece]byte) }}
	largePieces = sync.Pool{New: func() any { return new([largePiece]byte) }}
	largeLent   = make(chan struct{}, maxLarge)
)

// Piece is a lent buffer for a part of a body.
type Piece struct {
	// Bytes is the buffer.
	Bytes []byte

	small *[smallPiece]byte
	large *[largePiece]byte
}

// BorrowPiece lends a buffer for a body of length bytes; a negative length is not
// known yet. Return gives it back.
func BorrowPiece(length int64) Piece {
	if length > smallPiece {
		if p, ok := borrowLarge(); ok {
			return p
		}
	}
	b := smallPieces.Get().(*[smallPiece]byte)
	return Piece{Bytes: b[:], small: b}
}

// borrowLarge lends a large buffer, unless too many are lent.
func borrowLarge() (Piece, bool) {
	select {
	case largeLent <- struct{}{}:
		b := largePieces.Get().(*[largePiece]byte)
		return Piece{Bytes: b[:], large: b}, true
	default:
		return Piece{}, false
	}
}

// Return gives the buffer back. The bytes must not be used afterwards.
func (p *Piece) Return() {
	switch {
	case p.large != nil:
		largePieces.Put(p.large)
		<-largeLent
	case p.small != nil:
		smallPieces.Put(p.small)
	}
	*p = Piece{}
}
