package http1

import (
	"context"
	"net"
	"time"
)

// closeIdle closes a connection that has been idle since the given time, unless a request
// came meanwhile. The caller holds Server.mu.
func (c *serverConn) closeIdle(since int64) {
	if c.idleSince.CompareAndSwap(since, idleClosing) {
		c.stream.interrupt(ErrServerClosed, false)
	}
}

// awaitCloseIdle waits until a running closeIdle has returned. Locking is enough, since
// closeIdle runs under the lock.
func (s *Server) awaitCloseIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
}

// LastRequests makes each response from now on close its connection. The server still
// accepts new connections.
func (s *Server) LastRequests() { s.closing.Store(true) }

// Shutdown stops accepting connections, closes idle ones and waits for the requests in
// progress and for Serve. Requests that the system has received before count as in
// progress. A new connection has firstRequestGrace to send its first request. If ctx ends
// first, Shutdown returns ctx.Err().
func (s *Server) Shutdown(ctx context.Context) error {
	s.LastRequests()
	s.stop(wake, func(c *serverConn) {
		if since := c.idleSince.Load(); since > 0 && !c.isNew(since, time.Now()) {
			c.closeIdle(since)
		}
	})
	grace := time.NewTimer(firstRequestGrace)
	defer grace.Stop()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			return nil
		case <-grace.C:
			s.stop(wake, func(c *serverConn) {
				if since := c.idleSince.Load(); since > 0 {
					c.closeIdle(since)
				}
			})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func closeListener(l net.Listener) { l.Close() }

// wake makes Accept return, and Serve close the listener.
func wake(l net.Listener) {
	if d, ok := l.(deadlineListener); !ok || d.SetDeadline(pastDeadline) != nil {
		l.Close()
	}
}

// CloseGrace is the time that Close gives handlers to return.
const CloseGrace = time.Second

// Close stops accepting connections and cancels all requests with the cause
// ErrServerClosed. After CloseGrace it resets the connections that are left, and waits
// for their handlers.
func (s *Server) Close() {
	s.LastRequests()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop(closeListener, func(c *serverConn) {
		c.canceler.Cancel(ErrServerClosed)
		c.stream.interrupt(ErrServerClosed, false)
	})
	ctx, cancel := context.WithTimeout(context.Background(), CloseGrace)
	defer cancel()
	if s.Shutdown(ctx) == nil {
		return
	}
	s.stop(closeListener, func(c *serverConn) { c.stream.resetSocket() })
	s.running.Wait()
}

// stop calls end for every listener and do for every connection.
func (s *Server) stop(end func(net.Listener), do func(*serverConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped.IsZero() {
		s.stopped = time.Now()
	}
	for l := range s.listeners {
		end(l)
	}
	for c := range s.conns {
		do(c)
	}
	s.signalChange()
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stopped.IsZero()
}

// isGraceOver reports whether Shutdown closes new connections too.
func (s *Server) isGraceOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stopped.IsZero() && time.Since(s.stopped) >= firstRequestGrace
}

// Times of acceptPending. A busy machine may need long to run a goroutine.
const (
	pendingWait    = 10 * time.Millisecond
	maxPendingTime = time.Second
)

// acceptPending serves the connections that the system established before the server was
// stopped. Closing the listener would reset them, and their clients would take requests
// that they have sent for lost. A listener without deadlines has been closed already.
func (s *Server) acceptPending(l net.Listener) {
	d, ok := l.(deadlineListener)
	if !ok {
		return
	}
	for start := time.Now(); time.Since(start) < maxPendingTime; {
		if d.SetDeadline(time.Now().Add(pendingWait)) != nil {
			return
		}
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !s.reserveConn() {
			c.Close()
			return
		}
		s.startConn(c)
	}
}

// deadlineListener is a listener of package net.
type deadlineListener interface{ SetDeadline(time.Time) error }
