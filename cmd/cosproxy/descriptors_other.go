//go:build !unix

package main

import "math"

// descriptorLimit is how many file descriptors this process may have open: as many
// as it likes.
func descriptorLimit() int64 { return math.MaxInt32 }
