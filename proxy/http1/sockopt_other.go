//go:build !linux

package http1

import (
	"syscall"
	"time"
)

// socketOptions returns nil: this platform has no TCP_USER_TIMEOUT, only TCP keep-alive.
func socketOptions(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }

// unacknowledged returns false: this platform does not report it.
func (s *stream) unacknowledged() bool { return false }
