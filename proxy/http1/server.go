package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// ServerOptions configure NewServer.
type ServerOptions struct {
	// Handler handles one request. It runs on the goroutine of the connection. Required.
	Handler func(*Exchange)
	// Reject responds to a request that violates a rule. It may use only Response of the
	// exchange, since the head may be incomplete. Nil: Error.Status without a body.
	Reject func(*Exchange, Error)
	// Panicked is called after a Handler or Reject has panicked and the connection was
	// reset. Nil: not called.
	Panicked func(value any, stack []byte)
	// Limits bound the heads of requests.
	Limits Limits
	// TLS is the configuration of TLS. Nil: plain HTTP.
	TLS *tls.Config
	// HeaderTimeout is the timeout of a request head and of a TLS handshake. Zero: 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout is the time after which an idle connection is closed. It may fire an
	// eighth earlier. Zero: 2 min.
	IdleTimeout time.Duration
	// StallTimeout is the maximum time for each MinProgress bytes of a request body and
	// for each 256 KiB of a response body. It may fire an eighth earlier. Zero: 1 min.
	StallTimeout time.Duration
	// MaxConns is the maximum number of connections. At the limit, the server closes the
	// connection that has been idle longest to accept a new one; if no connection is
	// idle, it waits before it accepts more. Zero: no limit. Without a limit, the server
	// closes an idle connection only when it runs out of file descriptors.
	MaxConns int
	// HandshakeFailed is called when a TLS handshake fails, except if the client sent
	// nothing. Nil: not called.
	HandshakeFailed func(client net.Addr, err error)
}

// Server serves HTTP/1.1 on any number of listeners. It is safe for concurrent use.
type Server struct {
	o ServerOptions

	closing atomic.Bool // each response closes its connection

	mu          sync.Mutex
	listeners   map[net.Listener]bool
	conns       map[*serverConn]bool
	reserved    int            // connections between reserveConn and startConn; only with MaxConns
	stopped     bool           // Shutdown or Close was called
	closed      bool           // Close was called
	running     sync.WaitGroup // connections and calls of Serve
	connChanged chan struct{}  // receives a value when a connection ended or became idle
}

// NewServer returns a server without listeners; Serve adds them.
func NewServer(o ServerOptions) *Server {
	o.Limits = o.Limits.withDefaults()
	if o.HeaderTimeout == 0 {
		o.HeaderTimeout = 10 * time.Second
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 2 * time.Minute
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = time.Minute
	}
	if o.Reject == nil {
		o.Reject = func(x *Exchange, err Error) {
			x.Response.Start(err.Status(), "")
			_ = x.Response.Send(0, nil) // the connection is closed anyway
		}
	}
	return &Server{o: o, listeners: make(map[net.Listener]bool), conns: make(map[*serverConn]bool), connChanged: make(chan struct{}, 1)}
}

// Serve accepts and serves connections of l until Shutdown or Close and then returns
// ErrServerClosed. It retries temporary errors of l and returns all others. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if !s.track(l) {
		l.Close()
		return ErrServerClosed
	}
	defer s.untrack(l)
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case err == nil && s.reserveConn():
			pause = 0
			s.startConn(c)
		case err == nil:
			c.Close()
			return ErrServerClosed
		case s.isStopped():
			s.acceptPending(l)
			return ErrServerClosed
		case isOutOfDescriptors(err) && s.closeLongestIdle(): // its descriptor serves the new connection
		case isTemporary(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
		default:
			return err
		}
	}
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

// isTemporary reports whether a later Accept may succeed.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool } // deprecated, but package net offers nothing else for EMFILE
	return errors.As(err, &t) && t.Temporary()
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.listeners[l] = true
	s.running.Add(1)
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	l.Close()
	s.running.Done()
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *Server) startConn(raw net.Conn) {
	c := newServerConn(s, raw)
	s.mu.Lock()
	if s.o.MaxConns > 0 {
		s.reserved--
	}
	if s.closed {
		s.mu.Unlock()
		raw.Close()
		return
	}
	s.conns[c] = true
	s.running.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.running.Done()
		defer s.removeConn(c)
		defer func() {
			if v := recover(); v != nil {
				c.stream.reset()
				if s.o.Panicked != nil {
					s.o.Panicked(v, debug.Stack())
				}
			}
		}()
		c.serve()
	}()
}

func (s *Server) removeConn(c *serverConn) {
	c.canceler.cancel(ErrServerClosed)
	c.stream.close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.signalChange()
}

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
// progress. If ctx ends first, it returns ctx.Err().
func (s *Server) Shutdown(ctx context.Context) error {
	s.LastRequests()
	s.stop(wake, func(c *serverConn) {
		if since := c.idleSince.Load(); since > 0 {
			c.closeIdle(since)
		}
	})
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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
	s.stopped = true
	for l := range s.listeners {
		end(l)
	}
	for c := range s.conns {
		do(c)
	}
	s.signalChange()
}
