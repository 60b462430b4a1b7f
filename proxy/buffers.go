package proxy

import "sync"

// Bodies move through a buffer of one of two sizes. 256 KiB instead of 32 KiB
// makes large bodies 1.2 to 1.4 times as fast (BenchmarkLargeGET and
// BenchmarkLargePUT in the integration folder, 256 MiB over loopback). No more
// than maxLarge are lent at a time, 16 MiB in all: clients that stand still can
// hold those, and the others go on with small ones.
const (
	smallBuffer = 32 << 10
	largeBuffer = 256 << 10
	maxLarge    = 64
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
	largeLent    = make(chan struct{}, maxLarge)
)

// getBuffer returns the buffer for a body of length bytes, negative meaning
// unknown, and what gives it back.
func getBuffer(length int64) (buf []byte, release func()) {
	if length > largeBuffer {
		select {
		case largeLent <- struct{}{}:
			b := largeBuffers.Get().(*[]byte)
			return *b, func() { largeBuffers.Put(b); <-largeLent }
		default:
		}
	}
	b := smallBuffers.Get().(*[]byte)
	return *b, func() { smallBuffers.Put(b) }
}
