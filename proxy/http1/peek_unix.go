//go:build unix

package http1

import "syscall"

// peeker peeks at the receive buffer of a connection. Each connection reuses its peeker,
// so that peek allocates nothing.
type peeker struct {
	conn   syscall.RawConn
	peekFD func(fd uintptr)
	found  idleInput
}

func newPeeker(raw any) *peeker {
	p := &peeker{}
	if c, ok := raw.(syscall.Conn); ok {
		p.conn, _ = c.SyscallConn() // it fails only for a closed connection; then peek finds nothing
	}
	p.peekFD = func(fd uintptr) {
		var b [1]byte
		n, err := receive(fd, b[:], syscall.MSG_PEEK)
		switch {
		case err == syscall.EAGAIN:
			p.found = inputNone
		case n > 0 && err == 0:
			p.found = inputData
		default:
			p.found = inputEOF
		}
	}
	return p
}

// peek returns the state of the receive buffer. It uses Control, since Read fails when an
// earlier read deadline has passed.
func (p *peeker) peek() idleInput {
	if p.conn == nil {
		return inputNone
	}
	if p.conn.Control(p.peekFD) != nil {
		return inputEOF
	}
	return p.found
}
