package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"cosproxy/credcache"
	"cosproxy/proxy"
	"cosproxy/proxy/guard"
	"cosproxy/proxy/http1"
)

// sidecar is one running cosproxy.
type sidecar struct {
	cfg      *resolved
	log      *slog.Logger
	started  time.Time
	keys     *keyring
	registry *prometheus.Registry
	proxy    *proxy.Proxy // for applications
	token    guard.Token  // for both listeners; nil if none is required
	draining atomic.Bool
}

// serve listens, fetches the first keys and serves until ctx ends, and then
// drains. Its error says why it could not, or how many requests were cut off.
func serve(ctx context.Context, cfg *resolved, log *slog.Logger, lines *logQueue) error {
	t := newTransports(cfg)
	defer t.close()
	s, err := newSidecar(cfg, log, t)
	if err != nil {
		return err
	}
	defer s.keys.close()
	defer s.proxy.Close()
	s.registry.MustRegister(lines.metric())

	app, admin, err := cfg.openListeners(log)
	if err != nil {
		return err
	}
	for _, k := range s.keys.held {
		k.provider.Warm()
	}
	s.logStart(app, admin)
	return s.run(ctx, app, admin)
}

// newSidecar wires the packages together. Nothing runs yet.
func newSidecar(cfg *resolved, log *slog.Logger, t *transports) (*sidecar, error) {
	keys, err := newKeyring(cfg, t, credcache.Options{Logger: log, Splay: cfg.Splay})
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCredentialCollector(keys),
	)
	options := proxy.Options{
		AllowedHosts:   cfg.AllowedHosts,
		AllowedOrigins: cfg.AllowedOrigins,
		ClientToken:    cfg.clientToken(log),
		Upstream:       cfg.upstream(),
		Logger:         log,
		Registerer:     registry,
		Limits:         cfg.limits(),
		SkipChecksums:  !cfg.Checksums,
		SettingName:    cfg.settingName,
	}
	for _, r := range cfg.routes {
		route := r.proxyRoute(cfg.Endpoint)
		route.Credentials = keys.of(r).provider
		options.Routes = append(options.Routes, route)
	}
	p, err := proxy.New(options)
	if err != nil {
		return nil, err
	}
	return &sidecar{
		cfg: cfg, log: log, started: time.Now(), keys: keys, registry: registry,
		proxy: p, token: options.ClientToken,
	}, nil
}

// logStart logs each route, and then where they are served.
func (s *sidecar) logStart(app, admin []net.Listener) {
	for _, r := range s.cfg.routes {
		s.log.Info("route",
			"cosproxy.route", r.name,
			"cos.bucket", r.Bucket,
			"cloud.region", r.Region,
			"cosproxy.endpoint", r.endpoint.String(),
			"cosproxy.source", r.Source,
			"cosproxy.source_auto", r.auto,
			"cosproxy.allow_prefixes", r.AllowPrefixes.String(),
			"cosproxy.allow_actions", r.AllowActions.String(),
		)
	}
	s.cfg.warnDescriptors(s.log, descriptorLimit())
	s.log.Info("serving", "cosproxy.listen", display(app), "cosproxy.admin_listen", display(admin),
		"cosproxy.tls", s.cfg.TLSCertFile != "", "cosproxy.routes", len(s.cfg.routes), "service.version", version())
}

// display is the address of ls as it would be set, with the port that they got.
func display(ls []net.Listener) string {
	switch len(ls) {
	case 0:
		return address{}.String()
	case 1:
		return address{network: ls[0].Addr().Network(), at: ls[0].Addr().String()}.String()
	}
	return net.JoinHostPort("localhost", listenerPort(ls[0]))
}

// run serves applications and, unless it has no listener, the admin pages. The
// admin pages stay until applications have been drained.
func (s *sidecar) run(ctx context.Context, app, admin []net.Listener) error {
	appConns, adminConns := s.cfg.connLimits(descriptorLimit())
	options := s.cfg.serverOptions()
	options.MaxConns = int(appConns)
	if s.cfg.isTLS(app) {
		options.TLS = s.cfg.serverTLS(s.log)
	}
	appServer := s.proxy.NewServer(options)
	adminServer := s.newAdminServer()

	stopped := ctx
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range app {
		group.Go(func() error { return untilClosed(appServer.Serve(l)) })
	}
	limit := newConnLimit(int(adminConns))
	for _, l := range admin {
		if l = limit.listener(l); s.cfg.isTLS(admin) {
			l = tls.NewListener(l, s.cfg.serverTLS(s.log))
		}
		group.Go(func() error { return untilClosed(adminServer.Serve(l)) })
	}
	group.Go(func() error {
		<-ctx.Done()
		delay := s.cfg.ShutdownDelay
		if stopped.Err() == nil {
			delay = 0 // a listener failed: nothing more comes
		}
		err := s.drain(appServer, delay)
		return errors.Join(err, adminServer.Close())
	})
	return group.Wait()
}

// isTLS reports whether listeners speak TLS: those on TCP, if there is a certificate.
func (c *config) isTLS(ls []net.Listener) bool {
	return c.TLSCertFile != "" && len(ls) > 0 && ls[0].Addr().Network() == "tcp"
}

func untilClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, http1.ErrServerClosed) {
		return nil
	}
	return err
}

// limits are the limits of requests.
func (c *config) limits() proxy.Limits {
	return proxy.Limits{
		Requests:     c.MaxRequests,
		Queued:       cmp.Or(c.MaxQueued, -1),
		QueueTimeout: c.QueueTimeout,
		HeaderBytes:  int(c.MaxHeaderBytes),
		BodyBytes:    int64(c.MaxBodyBytes),
		StallTimeout: c.StallTimeout,
	}
}

// serverOptions are the limits of connections.
func (c *config) serverOptions() proxy.ServerOptions {
	return proxy.ServerOptions{HeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout}
}
