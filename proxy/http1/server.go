package http1

import (
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
	stopped     time.Time      // when Shutdown or Close was called; zero: not yet
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

// isTemporary reports whether a later Accept may succeed.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool } // deprecated, but package net offers nothing else for EMFILE
	return errors.As(err, &t) && t.Temporary()
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped.IsZero() {
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
