package proxy

import "sync"

// Bodies move through a buffer of one of two sizes. 256 KiB instead of 32 KiB
// makes large bodies 1.2 to 1.4 times as fast (BenchmarkLargeGET and
// BenchmarkLargePUT in the integration folder, 256 MiB over loopback), but a
// thousand small requests at once should not hold that much each.
const (
	smallBuffer = 32 << 10
	largeBuffer = 256 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// getBuffer returns the buffer for a body of length bytes, negative meaning
// unknown, and what gives it back.
func getBuffer(length int64) ([]byte, func()) {
	pool := &smallBuffers
	if length > largeBuffer {
		pool = &largeBuffers
	}
	b := pool.Get().(*[]byte)
	return *b, func() { pool.Put(b) }
}
