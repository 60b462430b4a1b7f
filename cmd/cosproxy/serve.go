package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"cosproxy/credcache"
	"cosproxy/proxy"
	"cosproxy/proxy/http1"
)

// sidecar is one cosproxy server.
type sidecar struct {
	pageHost    // token is for applications, too
	started     time.Time
	credentials *credentialStore
	proxy       *proxy.Proxy // for applications
	draining    atomic.Bool
}

// serve listens, fetches the first credentials, serves until ctx ends, and then drains.
// It returns an error if it cannot serve or had to cancel requests.
func serve(ctx context.Context, cfg *resolved, log *slog.Logger, lines *logQueue) error {
	t := newTransports(cfg)
	defer t.close()
	s, err := newSidecar(cfg, log, t)
	if err != nil {
		return err
	}
	defer s.credentials.close()
	defer s.proxy.Close()
	s.registry.MustRegister(lines.metric())

	ls, err := cfg.openListeners(log)
	if err != nil {
		return err
	}
	for _, c := range s.credentials.shared {
		c.provider.Warm()
	}
	s.logStart(ls)
	s.notifySystemd(daemon.SdNotifyReady)
	untilEnd, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s.startWatchdog(untilEnd)
	return s.run(ctx, ls)
}

// newSidecar connects the packages. It starts nothing.
func newSidecar(cfg *resolved, log *slog.Logger, t *transports) (*sidecar, error) {
	store, err := newCredentialStore(cfg, t, credcache.Options{Logger: log, Splay: cfg.Splay})
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCredentialCollector(store),
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
		route.Credentials = store.of(r).provider
		options.Routes = append(options.Routes, route)
	}
	p, err := proxy.New(options)
	if err != nil {
		return nil, err
	}
	s := &sidecar{
		pageHost: pageHost{cfg: cfg, log: log, registry: registry, token: options.ClientToken},
		started:  time.Now(), credentials: store, proxy: p,
	}
	s.pageHost.notReady, s.pageHost.status = s.notReady, s.status
	return s, nil
}

// logStart logs each route, and then the addresses of the listeners.
func (s *sidecar) logStart(ls listeners) {
	for _, r := range s.cfg.routes {
		log := s.log
		if s.cfg.Source.chained(r.Source) {
			log = log.With("cosproxy.second_role", s.cfg.Source.RoleARN)
		}
		log.Info("route",
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
	s.log.Info("serving", "cosproxy.listen", display(ls["Listen"]), "cosproxy.admin_listen", display(ls["AdminListen"]),
		"cosproxy.health_listen", display(ls["HealthListen"]), "cosproxy.metrics_listen", display(ls["MetricsListen"]),
		"cosproxy.tls", s.cfg.TLSCertFile != "", "cosproxy.routes", len(s.cfg.routes), "service.version", version())
}

// display returns the address of ls in the form of the setting, with the actual port.
func display(ls []net.Listener) string {
	switch len(ls) {
	case 0:
		return address{}.String()
	case 1:
		return address{network: ls[0].Addr().Network(), at: ls[0].Addr().String()}.String()
	}
	return net.JoinHostPort("localhost", listenerPort(ls[0]))
}

// run serves applications on ls["Listen"], and pages on the other listeners. The pages are
// available until the requests of applications have been drained. run closes ls.
func (s *sidecar) run(ctx context.Context, ls listeners) error {
	appConns, adminConns := s.cfg.connLimits(descriptorLimit())
	options := s.cfg.serverOptions()
	options.MaxConns = int(appConns)
	if s.cfg.isTLS(ls["Listen"]) {
		options.TLS = s.cfg.serverTLS(s.log)
	}
	appServer := s.proxy.NewServer(options)
	serveCtx, shutDown := context.WithCancel(ctx) // ends on a signal or POST /quit
	defer shutDown()
	s.shutDown = shutDown
	pages := s.pageServers(ls, int(adminConns))

	group, ctx := errgroup.WithContext(serveCtx) // also ends if a listener fails
	for _, l := range ls["Listen"] {
		group.Go(func() error { return ignoreClosed(appServer.Serve(l)) })
	}
	for _, p := range pages {
		for _, l := range p.listeners {
			group.Go(func() error { return ignoreClosed(p.Serve(l)) })
		}
	}
	group.Go(func() error {
		<-ctx.Done()
		err := s.drain(appServer, s.cfg.delayAfter(serveCtx))
		return errors.Join(err, closePages(pages))
	})
	return group.Wait()
}

// isTLS reports whether listeners use TLS: those on TCP, if there is a certificate.
func (c *config) isTLS(ls []net.Listener) bool {
	return c.TLSCertFile != "" && len(ls) > 0 && ls[0].Addr().Network() == "tcp"
}

// ignoreClosed drops the error of a server that was closed.
func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, http1.ErrServerClosed) {
		return nil
	}
	return err
}

// limits returns the limits of requests.
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

// serverOptions returns the limits of connections.
func (c *config) serverOptions() proxy.ServerOptions {
	return proxy.ServerOptions{HeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout}
}
