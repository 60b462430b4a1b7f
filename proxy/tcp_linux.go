package proxy

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout returns the net.Dialer.Control that makes the kernel give up a
// connection whose peer has not acknowledged data for limit (RFC 5482; tcp(7),
// TCP_USER_TIMEOUT).
func userTimeout(limit time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return failed
	}
}
