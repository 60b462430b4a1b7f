package main

import (
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/proxy/guard"
)

// pageHost is a process with pages for operators: the sidecar, for example.
type pageHost struct {
	cfg      *resolved
	log      *slog.Logger
	registry *prometheus.Registry
	token    guard.Token // client token, for the admin pages; nil if none is required
	notReady func() string
	status   func(now time.Time) string // content of /status
	shutDown func()                     // has the effect of SIGTERM; set before the pages are served
}

// pageServer is an HTTP server of pages for operators and its listeners.
type pageServer struct {
	*http.Server
	listeners []net.Listener // empty if they are off
}

// pageServers returns the servers of all listeners but that for applications. adminConns
// is the connection limit of the admin listener.
func (s *pageHost) pageServers(ls listeners, adminConns int) []pageServer {
	health := s.newPageServer(http.HandlerFunc(s.healthPage))
	health.SetKeepAlivesEnabled(false) // kubelet opens a connection for each probe
	health.DisableGeneralOptionsHandler = true
	return []pageServer{
		{s.newPageServer(s.adminPages()), s.withTLS(limited(ls["AdminListen"], newConnLimit(adminConns)))},
		{s.newPageServer(s.metricsPages()), s.withTLS(limited(ls["MetricsListen"], newReplacingLimit(probeConns, minConnAge)))},
		{health, limited(ls["HealthListen"], newReplacingLimit(probeConns, minConnAge))},
	}
}

// limited returns ls with one limit for their connections together.
func limited(ls []net.Listener, limit interface {
	listener(inner net.Listener) net.Listener
}) (all []net.Listener) {
	for _, l := range ls {
		all = append(all, limit.listener(l))
	}
	return all
}

// withTLS returns ls with TLS if it applies to them.
func (s *pageHost) withTLS(ls []net.Listener) []net.Listener {
	if !s.cfg.isTLS(ls) {
		return ls
	}
	var all []net.Listener
	for _, l := range ls {
		all = append(all, tls.NewListener(l, s.cfg.serverTLS(s.log)))
	}
	return all
}

// newPageServer returns an HTTP server of short responses to requests without a body.
func (s *pageHost) newPageServer(pages http.Handler) *http.Server {
	server := &http.Server{
		Handler:           pages,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		ReadTimeout:       s.cfg.HeaderTimeout, // net/http waits for a body that no page reads
		IdleTimeout:       s.cfg.IdleTimeout,
		WriteTimeout:      s.cfg.StallTimeout,
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
