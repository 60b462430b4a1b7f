package http1

import "time"

// firstRequestGrace is the time before a new connection without a request counts as
// idle. A client that has just connected is about to send one, but a busy machine may need
// long to run it.
const firstRequestGrace = time.Second

// reserveConn waits until the number of connections is below MaxConns and reserves
// one for startConn. It returns false if the server was closed.
func (s *Server) reserveConn() bool {
	for s.o.MaxConns > 0 {
		s.mu.Lock()
		closed, full := s.closed, len(s.conns)+s.reserved >= s.o.MaxConns
		if !closed && !full {
			s.reserved++
		}
		s.mu.Unlock()
		if closed {
			s.signalChange() // stop sent one signal, but several listeners may wait
			return false
		}
		if !full {
			break
		}
		if s.closeLongestIdle() {
			continue
		}
		graceTimer := time.NewTimer(firstRequestGrace)
		select {
		case <-s.connChanged:
		case <-graceTimer.C: // a new connection may count as idle now
		}
		graceTimer.Stop()
	}
	s.signalChange() // there may be room for another listener that waits
	return true
}

// signalChange wakes one waiting reserveConn.
func (s *Server) signalChange() {
	if s.o.MaxConns == 0 {
		return
	}
	select {
	case s.connChanged <- struct{}{}:
	default:
	}
}

// closeLongestIdle closes the connection that has been idle longest and reports whether
// there was one. Its file descriptor is free on return.
func (s *Server) closeLongestIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		oldest, since := s.longestIdle()
		switch {
		case oldest == nil:
			return false
		case oldest.idleSince.CompareAndSwap(since, idleClosing):
			delete(s.conns, oldest)
			_ = oldest.stream.raw.Close() // tls.Conn.Close writes close_notify first, which a client can block
			return true
		}
		// The connection got a request meanwhile; try the next one.
	}
}

// longestIdle returns the connection that has been idle longest and the start of that
// time in Unix nanoseconds, or nil. The caller holds s.mu.
func (s *Server) longestIdle() (oldest *serverConn, since int64) {
	now := time.Now()
	for c := range s.conns {
		idle := c.idleSince.Load()
		if idle > 0 && (oldest == nil || idle < since) && !c.isNew(idle, now) {
			oldest, since = c, idle
		}
	}
	return oldest, since
}

// isNew reports whether a connection that is idle since the given time in Unix nanoseconds
// may be about to send its first request.
func (c *serverConn) isNew(since int64, now time.Time) bool {
	return !c.served.Load() && since > now.Add(-firstRequestGrace).UnixNano()
}
