package integration_test

import (
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// cpuSeconds returns the user and system CPU time of another process. On Linux each
// process has a clock for it, with an ID derived from the process ID
// (clock_getcpuclockid(3)).
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	const cpuClockSched = 2
	var used syscall.Timespec
	clock := uintptr(uint32(^int32(pid)<<3 | cpuClockSched))
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&used)), 0)
	if errno != 0 {
		b.Fatalf("CPU time of process %d: %v", pid, errno)
	}
	return time.Duration(used.Nano()).Seconds()
}
