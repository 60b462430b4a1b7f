package http1

import (
	"syscall"
	"time"
	"unsafe"
)

// tcpUserTimeout is TCP_USER_TIMEOUT (tcp(7)), which package syscall lacks.
const tcpUserTimeout = 18

// socketOptions ends connections whose bytes are not acknowledged for limit: a
// peer that is gone without a word is noticed by what is being sent.
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

// siocOutQ is SIOCOUTQ (tcp(7)), which package syscall lacks.
const siocOutQ = 0x5411

// unacknowledged reports whether the peer has not acknowledged all that was written, so
// that it cannot have all of it.
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
