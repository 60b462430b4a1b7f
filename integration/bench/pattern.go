//go:build linux

package main

import (
	"hash"
	"hash/crc64"
	"os"

	"golang.org/x/sys/unix"
)

const (
	smallSize   = 1 << 10
	patternSize = 256 << 10 // every body repeats the pattern
	sourceSize  = 64 << 20  // minimum size of the files that sendfile reads; larger than the caches
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
	sum := crc64.New(crcTable)
	writePattern(sum, p, n)
	return sum.Sum64()
}

// writePattern writes the first n bytes of the repeated pattern to a hash, which does not
// fail.
func writePattern(sum hash.Hash, p []byte, n int64) {
	for n > 0 {
		k := min(n, int64(len(p)))
		sum.Write(p[:k])
		n -= k
	}
}

// source is a file in memory that repeats a text: the pattern, or the pattern in
// aws-chunked.
type source struct {
	*os.File
	size int64 // a multiple of the length of the text
}

func newSource(text []byte) (*source, error) {
	fd, err := unix.MemfdCreate("pattern", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	s := &source{File: os.NewFile(uintptr(fd), "pattern")}
	for s.size < sourceSize {
		if _, err := s.Write(text); err != nil {
			s.Close()
			return nil, err
		}
		s.size += int64(len(text))
	}
	return s, nil
}
