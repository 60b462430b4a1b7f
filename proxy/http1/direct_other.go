//go:build !linux || !(amd64 || arm64)

package http1

import "net"

func direct(conn net.Conn) net.Conn { return conn }
