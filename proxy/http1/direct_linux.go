//go:build amd64 || arm64

package http1

import (
	"io"
	"net"
	"os"
	"syscall"
)

// directConn is a socket whose reads and writes do without the scheduler of Go. They
// cannot block, since the socket is non-blocking, but package net prepares for that: the
// thread that watches system calls wakes every 20 µs while there are any, and takes their
// processor away. That is a tenth of the CPU time, of small requests and of large bodies.
type directConn struct {
	net.Conn

	raw syscall.RawConn
	in  directCall // of the one goroutine that reads
	out directCall // of the one that writes
}

// directCall is a read or write. It is made once, so that a call allocates nothing.
type directCall struct {
	buf   []byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) (done bool)
}

// direct returns conn with direct reads and writes, or conn where it is no socket.
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
	c.in.try = c.in.read
	c.out.try = c.out.write
	return c
}

// read reads what is there.
func (c *directCall) read(fd uintptr) bool {
	c.n, c.errno = receive(fd, c.buf, 0)
	return c.errno != syscall.EAGAIN
}

// write writes all of the buffer, or what fits until the socket has room again.
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
	c.in.buf = p
	err := c.raw.Read(c.in.try)
	c.in.buf = nil
	if err = c.explain("read", "recvfrom", err, c.in.errno); err != nil {
		return 0, err
	}
	if c.in.n == 0 {
		return 0, io.EOF
	}
	return c.in.n, nil
}

// Write implements net.Conn.
func (c *directConn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Write(p)
	}
	c.out.buf, c.out.n, c.out.errno = p, 0, 0
	err := c.raw.Write(c.out.try)
	c.out.buf = nil
	return c.out.n, c.explain("write", "sendto", err, c.out.errno)
}

// explain returns the error that package net would have returned.
func (c *directConn) explain(op, call string, err error, errno syscall.Errno) error {
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
