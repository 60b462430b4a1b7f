package main

import (
	"log"
	"net"
	"net/http"
	"sync"
)

// newAdminServer returns the HTTP server of the admin pages.
func (s *sidecar) newAdminServer() *http.Server {
	server := &http.Server{
		Handler:           s.adminPages(),
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		WriteTimeout:      s.cfg.StallTimeout, // its responses are short
		MaxHeaderBytes:    int(s.cfg.MaxHeaderBytes),
		Protocols:         new(http.Protocols),
		ErrorLog:          log.New(newLibraryLog(s.log), "", 0),
	}
	server.Protocols.SetHTTP1(true)
	return server
}

// connLimit limits the number of open connections of several listeners together. Further
// connections wait.
type connLimit chan struct{}

func newConnLimit(limit int) connLimit { return make(connLimit, limit) }

func (l connLimit) listener(inner net.Listener) net.Listener {
	return &limitedListener{Listener: inner, limit: l, closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	limit  connLimit
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.limit <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.limit
		return nil, err
	}
	return &limitedConn{Conn: c, limit: l.limit}, nil
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	limit connLimit
	once  sync.Once
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.limit })
	return c.Conn.Close()
}
