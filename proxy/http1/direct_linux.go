//go:build amd64 || arm64

package http1

import (
	"io"
	"net"
	"os"
	"syscall"
)

// directConn is a socket that reads and writes with raw system calls, without telling
// the Go scheduler. Package net tells it, in case a system call blocks: the sysmon thread
// then wakes up every 20 µs and takes the processor away from such a goroutine. That
// costs a tenth of the CPU time, for small requests and for large bodies. It is not
// needed, since the sockets of package net are non-blocking.
type directConn struct {
	net.Conn

	raw     syscall.RawConn
	reading directCall // used by the one goroutine that reads
	writing directCall // used by the one goroutine that writes
}

// directCall holds the arguments and results of one system call. Each connection reuses
// its two, and their method values, so that a call allocates nothing.
type directCall struct {
	buf   []byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) (done bool)
}

// direct returns conn as a directConn if it is a TCP or Unix socket, otherwise conn.
func direct(conn net.Conn) net.Conn {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return conn
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return conn
	}
	c := &directConn{Conn: conn, raw: raw}
	c.reading.try = c.reading.read
	c.writing.try = c.writing.write
	return c
}

// read reads the bytes that are available. It returns false if there are none yet.
func (c *directCall) read(fd uintptr) bool {
	c.n, c.errno = receive(fd, c.buf, 0)
	return c.errno != syscall.EAGAIN
}

// write writes the rest of the buffer. It returns false if the socket buffer is full.
func (c *directCall) write(fd uintptr) bool {
	for c.n < len(c.buf) {
		n, errno := send(fd, c.buf[c.n:])
		if c.errno = errno; errno != 0 {
			return errno != syscall.EAGAIN
		}
		c.n += n
	}
	return true
}

// Read implements net.Conn.
func (c *directConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.reading.buf = p
	err := c.raw.Read(c.reading.try)
	c.reading.buf = nil
	if err = c.netError("read", "recvfrom", err, c.reading.errno); err != nil {
		return 0, err
	}
	if c.reading.n == 0 {
		return 0, io.EOF
	}
	return c.reading.n, nil
}

// Write implements net.Conn.
func (c *directConn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Write(p)
	}
	c.writing.buf, c.writing.n, c.writing.errno = p, 0, 0
	err := c.raw.Write(c.writing.try)
	c.writing.buf = nil
	return c.writing.n, c.netError("write", "sendto", err, c.writing.errno)
}

// netError returns the error that package net would return.
func (c *directConn) netError(op, call string, err error, errno syscall.Errno) error {
	if err == nil && errno == 0 {
		return nil
	}
	if err == nil {
		err = os.NewSyscallError(call, errno)
	} else if raw, ok := err.(*net.OpError); ok { //nolint:errorlint // package net wraps no OpError
		err = raw.Err
	}
	local, remote := c.LocalAddr(), c.RemoteAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: remote, Err: err}
}
