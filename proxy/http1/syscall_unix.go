//go:build unix && (race || !linux || !(amd64 || arm64))

package http1

import "syscall"

// receive is recvfrom(2) on a non-blocking socket. Without flags it is read(2): package
// syscall tells the race detector that syscall.Write happens before syscall.Read.
func receive(fd uintptr, b []byte, flags int) (n int, errno syscall.Errno) {
	for {
		var err error
		if flags == 0 {
			n, err = syscall.Read(int(fd), b)
		} else {
			n, _, err = syscall.Recvfrom(int(fd), b, flags)
		}
		if errno, _ = err.(syscall.Errno); errno != syscall.EINTR { //nolint:errorlint // package syscall returns it as it is
			return max(n, 0), errno
		}
	}
}

// send is write(2) on a non-blocking socket.
func send(fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Write(int(fd), b)
		if errno, _ := err.(syscall.Errno); errno != syscall.EINTR { //nolint:errorlint // package syscall returns it as it is
			return max(n, 0), errno
		}
	}
}
