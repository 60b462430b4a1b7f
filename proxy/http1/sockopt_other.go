//go:build !linux

package http1

import (
	"syscall"
	"time"
)

// socketOptions leaves it to TCP keep-alive where there is no TCP_USER_TIMEOUT.
func socketOptions(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }

// unacknowledged cannot be told here.
func (s *stream) unacknowledged() bool { return false }
