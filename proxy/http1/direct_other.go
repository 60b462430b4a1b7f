//go:build !linux || !(amd64 || arm64)

package http1

import "net"

// direct returns conn. Raw system calls are used only on Linux.
func direct(conn net.Conn) net.Conn { return conn }
