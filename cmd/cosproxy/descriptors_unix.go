//go:build unix

package main

import (
	"math"
	"syscall"
)

// descriptorLimit returns the limit of open file descriptors. Package syscall has already
// raised the soft limit to the hard one, or to one below.
func descriptorLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int64(min(limit.Cur, math.MaxInt32))
}
