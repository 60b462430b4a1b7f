package http1

import (
	"time"
)

// firstRequestGrace is how long a new connection may be silent before it counts as
// idle: a client that has only just connected is about to send a request.
const firstRequestGrace = time.Second

// makeRoom returns when one more connection is within MaxConns, and reserves its place
// for start. It reports false if the server was stopped.
func (s *Server) makeRoom() bool {
	for s.o.MaxConns > 0 {
		s.mu.Lock()
		stopped, full := s.stopped, len(s.conns)+s.reserved >= s.o.MaxConns
		if !stopped && !full {
			s.reserved++
		}
		s.mu.Unlock()
		if stopped {
			s.signal() // another listener may wait too
			return false
		}
		if !full {
			break
		}
		if s.closeLongestIdle() {
			continue
		}
		retry := time.NewTimer(firstRequestGrace)
		select {
		case <-s.changed:
		case <-retry.C: // a silent new connection may have become an idle one
		}
		retry.Stop()
	}
	s.signal() // another listener may wait too, and there may be room for both
	return true
}

// signal wakes a makeRoom that waits.
func (s *Server) signal() {
	if s.o.MaxConns == 0 {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// closeLongestIdle closes the connection that has waited longest for a request, and
// reports whether there was one. Its descriptor is free on return.
func (s *Server) closeLongestIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		oldest, since := s.longestIdle()
		switch {
		case oldest == nil:
			return false
		case oldest.idleSince.CompareAndSwap(since, idleClaimed):
			delete(s.conns, oldest)
			_ = oldest.stream.raw.Close() // TLS would first write its farewell, which a client can delay
			return true
		}
		// A request came first; another connection may be idle.
	}
}

// longestIdle returns the connection that has waited longest for a request, and since
// when; nil if there is none. Server.mu is held.
func (s *Server) longestIdle() (oldest *serverConn, since int64) {
	young := time.Now().Add(-firstRequestGrace).UnixNano()
	for c := range s.conns {
		idle := c.idleSince.Load()
		if idle > 0 && (oldest == nil || idle < since) && (c.served.Load() || idle <= young) {
			oldest, since = c, idle
		}
	}
	return oldest, since
}
