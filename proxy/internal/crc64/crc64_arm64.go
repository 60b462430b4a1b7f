//go:build !purego

package crc64

import "golang.org/x/sys/cpu"

var canFold = cpu.ARM64.HasPMULL

// fold replaces rest and p, whose length is a multiple of 64 and not zero, by a rest
// that is congruent to both in this order.
//
//go:noescape
func fold(rest *[64]byte, p []byte, factors *[2]uint64)
