//go:build (amd64 || arm64) && !race

package http1

import (
	"syscall"
	"unsafe"
)

// receive is recvfrom(2) without waiting. It does not notify the Go scheduler.
func receive(fd uintptr, b []byte, flags int) (int, syscall.Errno) {
	return transfer(syscall.SYS_RECVFROM, fd, b, flags|syscall.MSG_DONTWAIT)
}

// send is sendto(2) without waiting. It does not notify the Go scheduler.
func send(fd uintptr, b []byte) (int, syscall.Errno) {
	return transfer(syscall.SYS_SENDTO, fd, b, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

// transfer makes a system call and repeats it after EINTR.
func transfer(call, fd uintptr, b []byte, flags int) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0) //nolint:gosec // the kernel accesses only b
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}
