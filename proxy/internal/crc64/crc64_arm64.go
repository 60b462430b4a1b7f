//go:build !purego

package crc64

import "golang.org/x/sys/cpu"

var canFold = cpu.ARM64.HasPMULL

// fold folds p into rest, so that rest has the remainder of rest followed by p. The length
// of p must be a positive multiple of 64.
//
//go:noescape
func fold(rest *[64]byte, p []byte, factors *[2]uint64)
