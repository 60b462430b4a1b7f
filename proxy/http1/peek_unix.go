//go:build unix

package http1

import (
	"syscall"
)

// readable reports whether something has arrived on an idle connection: its end,
// an error, or bytes that no request asked for. TLS has messages of its own, which
// are no reason to give a connection up.
func (s *stream) readable() bool {
	raw, ok := s.raw.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return true
	}
	found := false
	// Control, not Read: a read deadline that has passed says nothing of the connection.
	err = rc.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN, err == syscall.EINTR:
		case n > 0 && err == nil && s.tls != nil:
		default:
			found = true
		}
	})
	return found || err != nil
}
