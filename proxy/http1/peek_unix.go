//go:build unix

package http1

import "syscall"

// peeker looks at what has arrived on a connection without taking it. It is made once,
// so that a look allocates nothing.
type peeker struct {
	conn  syscall.RawConn
	look  func(fd uintptr)
	found arrival
}

func newPeeker(raw any) *peeker {
	p := &peeker{}
	if c, ok := raw.(syscall.Conn); ok {
		p.conn, _ = c.SyscallConn() // a closed connection shows when it is used
	}
	p.look = func(fd uintptr) {
		var b [1]byte
		n, err := receive(fd, b[:], syscall.MSG_PEEK)
		switch {
		case err == syscall.EAGAIN:
			p.found = nothing
		case n > 0 && err == 0:
			p.found = someBytes
		default:
			p.found = theEnd
		}
	}
	return p
}

// peek returns what has arrived. A look by Control, not by Read: a read deadline that has
// passed says nothing of the connection.
func (p *peeker) peek() arrival {
	if p.conn == nil {
		return nothing
	}
	if p.conn.Control(p.look) != nil {
		return theEnd
	}
	return p.found
}
