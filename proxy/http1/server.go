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
	// Handler responds to one request. It runs on the goroutine of the connection.
	// Required.
	Handler func(*Exchange)
	// Refuse responds to a request that breaks a rule. Only Response of the exchange can
	// be used: the head may be incomplete. Nil: an empty response.
	Refuse func(*Exchange, Error)
	// Panicked is told what a Handler panicked with. The connection is broken
	// either way. Nil: nothing is told.
	Panicked func(value any, stack []byte)
	// Limits bound the heads of requests.
	Limits Limits
	// TLS makes the server speak TLS. Nil: plain HTTP.
	TLS *tls.Config
	// HeaderTimeout is the time for a head, and for a TLS handshake. Zero: 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection without a request is kept. It may be an
	// eighth shorter. Zero: 2 min.
	IdleTimeout time.Duration
	// StallTimeout is how long a body may make no progress, either way. It may be
	// an eighth shorter. Zero: 1 min.
	StallTimeout time.Duration
	// MaxConns is the number of connections at which the longest idle one is closed
	// for a new one. While none is idle, new ones wait. Zero: no limit; the longest idle
	// one is then closed only when the process has no file descriptor left.
	MaxConns int
	// HandshakeFailed is told of TLS handshakes that fail. Nil: nothing is told.
	HandshakeFailed func(client net.Addr, err error)
}

// Server serves HTTP/1.1 on any number of listeners.
type Server struct {
	o ServerOptions

	closing atomic.Bool // each response ends its connection

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[*serverConn]bool
	reserved  int  // places of connections that were accepted and not started; with MaxConns alone
	stopped   bool // no listener is served any more
	done      sync.WaitGroup
	changed   chan struct{} // has a value after a connection has ended or become idle
}

// NewServer returns a server that listens to nothing yet.
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
	if o.Refuse == nil {
		o.Refuse = func(x *Exchange, err Error) {
			x.Response.Start(err.Status(), "")
			_ = x.Response.Send(0, nil) // the connection ends in any case
		}
	}
	return &Server{o: o, listeners: make(map[net.Listener]bool), conns: make(map[*serverConn]bool), changed: make(chan struct{}, 1)}
}

// Serve accepts connections until Shutdown or Close, and then returns
// ErrServerClosed. Another error is that of the listener. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if !s.track(l) {
		l.Close()
		return ErrServerClosed
	}
	defer s.untrack(l)
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case err == nil && s.makeRoom():
			pause = 0
			s.start(c)
		case err == nil:
			c.Close()
			return ErrServerClosed
		case s.isStopped():
			return ErrServerClosed
		case isOutOfDescriptors(err) && s.closeLongestIdle(): // a new connection is worth more
		case isTemporary(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
		default:
			return err
		}
	}
}

// isTemporary reports whether accepting may succeed later.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool } // deprecated, and still what tells EMFILE
	return errors.As(err, &t) && t.Temporary()
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.listeners[l] = true
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	l.Close()
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *Server) start(raw net.Conn) {
	c := newServerConn(s, raw)
	s.mu.Lock()
	if s.o.MaxConns > 0 {
		s.reserved--
	}
	if s.stopped {
		s.mu.Unlock()
		raw.Close()
		return
	}
	s.conns[c] = true
	s.done.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.done.Done()
		defer s.forget(c)
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

func (s *Server) forget(c *serverConn) {
	c.canceler.cancel(ErrServerClosed)
	c.stream.close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.signal()
}

// closeIdle ends a connection that has been idle since then, unless a request has
// come. Server.mu is held.
func (c *serverConn) closeIdle(since int64) {
	if c.idleSince.CompareAndSwap(since, idleClaimed) {
		c.stream.interrupt(ErrServerClosed, false)
	}
}

// awaitClaim returns when closeIdle has returned.
func (s *Server) awaitClaim() {
	s.mu.Lock()
	defer s.mu.Unlock()
}

// LastRequests makes each response from now on announce the end of its connection.
// New connections are accepted still.
func (s *Server) LastRequests() { s.closing.Store(true) }

// Shutdown stops accepting, ends idle connections and waits for the requests in
// flight. It returns the error of ctx if that ends first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.LastRequests()
	s.stop(func(c *serverConn) {
		if since := c.idleSince.Load(); since > 0 {
			c.closeIdle(since)
		}
	})
	done := make(chan struct{})
	go func() {
		s.done.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CloseGrace is how long Close waits for handlers to end.
const CloseGrace = time.Second

// Close ends all requests with the cause ErrServerClosed and then all connections.
func (s *Server) Close() {
	s.LastRequests()
	s.stop(func(c *serverConn) {
		c.canceler.Cancel(ErrServerClosed)
		c.stream.interrupt(ErrServerClosed, false)
	})
	ctx, cancel := context.WithTimeout(context.Background(), CloseGrace)
	defer cancel()
	if s.Shutdown(ctx) == nil {
		return
	}
	s.stop(func(c *serverConn) { c.stream.cut() })
	s.done.Wait()
}

// stop closes the listeners and does something to every connection.
func (s *Server) stop(do func(*serverConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		do(c)
	}
	s.signal()
}
