//go:build !unix

package main

import "math"

// descriptorLimit returns the limit of open file descriptors: there is none.
func descriptorLimit() int64 { return math.MaxInt32 }
