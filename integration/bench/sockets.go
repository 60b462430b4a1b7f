//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// sendSource sends n bytes of src, which it repeats, without copying them.
func sendSource(c *net.TCPConn, src *source, n int64) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	sent := int64(0)
	err = raw.Write(func(fd uintptr) bool {
		for sent < n {
			offset := sent % src.size
			k, err := unix.Sendfile(int(fd), int(src.Fd()), &offset, int(min(n-sent, src.size-offset, 1<<20)))
			if wait, err := retry(err); wait || err != nil {
				failed = err
				return !wait
			}
			sent += int64(max(k, 0))
		}
		return true
	})
	if err = errors.Join(err, failed); err == nil && sent < n {
		return io.ErrShortWrite
	}
	return err
}

// discard reads n bytes from the socket without copying them.
func discard(c *net.TCPConn, n int64) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for n > 0 {
			k, errno := truncated(fd, min(n, 4<<20))
			if wait, err := retry(errno); wait || err != nil {
				failed = err
				return !wait
			}
			if errno == nil && k == 0 {
				failed = io.ErrUnexpectedEOF
				return true
			}
			n -= int64(k)
		}
		return true
	})
	return errors.Join(err, failed)
}

// truncated drops up to n received bytes: MSG_TRUNC of tcp(7).
func truncated(fd uintptr, n int64) (int, error) {
	k, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, 0, uintptr(n), unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(k), nil
}

// retry classifies the error of a system call on a non-blocking socket: wait, call
// again (false, nil), or fail.
func retry(err error) (wait bool, failed error) {
	switch {
	case err == nil, errors.Is(err, unix.EINTR):
		return false, nil
	case errors.Is(err, unix.EAGAIN):
		return true, nil
	}
	return false, fmt.Errorf("socket: %w", err)
}
