//go:build !linux

package proxy

import (
	"syscall"
	"time"
)

// userTimeout is nil where the system has no TCP_USER_TIMEOUT.
func userTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }

// unacknowledged is not known where there is no SIOCOUTQ.
func (c *upstreamConn) unacknowledged() bool { return false }
