//go:build !linux

package integration_test

import "testing"

// cpuSeconds fails: only Linux tells the CPU time of another process simply.
func cpuSeconds(b *testing.B, _ int) float64 {
	b.Fatal("the CPU time of a process is measured on Linux only")
	return 0
}
