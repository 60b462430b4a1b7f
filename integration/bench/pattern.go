//go:build linux

package main

import (
	"hash/crc64"
	"os"

	"golang.org/x/sys/unix"
)

const (
	smallSize   = 1 << 10
	patternSize = 256 << 10 // every body repeats the pattern
	sourceSize  = 64 << 20  // of the file that sendfile reads; larger than the caches
)

// newPattern returns the pattern that all bodies repeat, in both directions, so that
// the upstream knows the CRC-64 of an upload without reading it.
func newPattern() []byte {
	p := make([]byte, patternSize)
	state := uint32(1)
	for i := range p {
		state = state*1664525 + 1013904223 // a linear congruential generator
		p[i] = byte(state >> 24)
	}
	return p
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// patternCRC returns the CRC-64 of the first n bytes of the repeated pattern.
func patternCRC(p []byte, n int64) uint64 {
	var sum uint64
	for n > 0 {
		k := min(n, int64(len(p)))
		sum = crc64.Update(sum, crcTable, p[:k])
		n -= k
	}
	return sum
}

// newSource returns a file in memory that holds the pattern up to sourceSize
// bytes. Its length is a multiple of patternSize.
func newSource(p []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("pattern", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "pattern")
	for n := 0; n < sourceSize; n += len(p) {
		if _, err := f.Write(p); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}
