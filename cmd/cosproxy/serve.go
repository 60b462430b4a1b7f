package main

import (
	"context"
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
)

// sidecar is one running cosproxy.
type sidecar struct {
	cfg      *config
	log      *slog.Logger
	started  time.Time
	keys     *keyring
	registry *prometheus.Registry
	handler  http.Handler // for applications
	refused  func(status int)
	token    proxy.Token  // for both listeners; nil if none is wanted
	inFlight atomic.Int64 // requests of applications
	draining atomic.Bool
}

// serve listens, fetches the first keys and serves until ctx ends, and then
// drains. Its error says why it could not, or how many requests were cut off.
func serve(ctx context.Context, cfg *config, log *slog.Logger, lines *logQueue) error {
	t := newTransports(cfg)
	defer t.close()
	s, err := newSidecar(cfg, log, t)
	if err != nil {
		return err
	}
	defer s.keys.close()
	s.registry.MustRegister(lines.metric())

	app, admin, err := cfg.openListeners(log)
	if err != nil {
		return err
	}
	for _, k := range s.keys.held {
		k.provider.Warm()
	}
	s.announce(app, admin)
	return s.run(ctx, app, admin)
}

// newSidecar wires the packages together. Nothing runs yet.
func newSidecar(cfg *config, log *slog.Logger, t *transports) (*sidecar, error) {
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
		Token:          cfg.clientToken(log),
		Transport:      t.toCOS,
		Logger:         log,
		Registerer:     registry,
		Limits:         cfg.limits(),
		SkipChecksums:  !cfg.Checksums,
	}
	for _, r := range cfg.routes {
		route, err := r.proxyRoute(cfg.Endpoint)
		if err != nil {
			return nil, err
		}
		route.Credentials = keys.of(r).provider
		options.Routes = append(options.Routes, route)
	}
	handler, err := proxy.New(options)
	if err != nil {
		return nil, err
	}
	return &sidecar{
		cfg: cfg, log: log, started: time.Now(), keys: keys, registry: registry,
		handler: handler, refused: handler.Refused, token: options.Token,
	}, nil
}

// announce logs each route, and then where they are served.
func (s *sidecar) announce(app, admin []net.Listener) {
	for _, r := range s.cfg.routes {
		s.log.Info("route",
			"route", r.name,
			"bucket", r.Bucket,
			"region", r.Region,
			"endpoint", r.endpoint.String(),
			"source", r.Source,
			"auto", r.auto,
			"prefixes", r.Prefixes.String(),
			"actions", r.Actions.String(),
		)
	}
	s.cfg.warnDescriptors(s.log, descriptorLimit())
	s.log.Info("serving", "listen", display(app), "admin", display(admin), "tls", s.cfg.TLSCertFile != "", "routes", len(s.cfg.routes), "version", version())
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
	requests, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	bounds := s.cfg.serverOptions(s.log)
	adminServer := proxy.NewServer(s.adminPages(), bounds)
	bounds.Refused = s.refused
	appServer := proxy.NewServer(s.counted(s.handler), bounds)
	appServer.BaseContext = func(net.Listener) context.Context { return requests }
	adminServer.WriteTimeout = s.cfg.StallTimeout // its answers are short

	stopped := ctx
	group, ctx := errgroup.WithContext(ctx)
	appConns, adminConns := s.cfg.connLimits(descriptorLimit())
	serveAll(group, appServer, app, appConns)
	serveAll(group, adminServer, admin, adminConns)
	group.Go(func() error {
		<-ctx.Done()
		delay := s.cfg.ShutdownDelay
		if stopped.Err() == nil {
			delay = 0 // a listener failed: nothing more comes
		}
		err := s.drain(appServer, delay, cut)
		return errors.Join(err, adminServer.Close())
	})
	return group.Wait()
}

// serveAll serves on ls, which have at most so many connections together.
func serveAll(group *errgroup.Group, server *http.Server, ls []net.Listener, conns int64) {
	limit := proxy.NewConnLimit(int(conns))
	for _, l := range ls {
		group.Go(func() error { return untilClosed(server.Serve(limit.Listener(l))) })
	}
}

func untilClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// counted keeps the number of requests in flight. From the beginning of the
// shutdown on, each response ends its connection.
func (s *sidecar) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		h.ServeHTTP(&closingWriter{ResponseWriter: w, draining: &s.draining}, r)
	})
}
