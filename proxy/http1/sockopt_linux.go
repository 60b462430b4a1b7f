package http1

import (
	"syscall"
	"time"
	"unsafe"
)

// tcpUserTimeout is TCP_USER_TIMEOUT (tcp(7)). Package syscall does not define it.
const tcpUserTimeout = 18

// socketOptions makes the kernel end a connection when sent bytes stay unacknowledged for
// limit. This detects a peer that vanished without FIN or reset. It returns a
// net.Dialer.Control.
func socketOptions(limit time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(limit.Milliseconds()))
		}); controlErr != nil {
			return controlErr
		}
		return err
	}
}

// siocOutQ is SIOCOUTQ (tcp(7)). Package syscall does not define it.
const siocOutQ = 0x5411

// unacknowledged reports whether the peer has not acknowledged all written bytes, so it
// cannot have received all of them.
func (s *stream) unacknowledged() bool {
	conn, ok := s.raw.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var queued int32
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, siocOutQ, uintptr(unsafe.Pointer(&queued))) //nolint:gosec // the kernel writes one int
	})
	return err == nil && errno == 0 && queued > 0
}
