//go:build unix

package main

import (
	"math"
	"syscall"
)

// descriptorLimit is how many file descriptors this process may have open. Package
// syscall has raised the soft limit at start to one below the hard one; where the
// two were equal or one apart, it left them. So nothing is left to raise here.
func descriptorLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int64(min(limit.Cur, math.MaxInt32))
}
