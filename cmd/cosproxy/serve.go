package main

import (
	"context"
	"errors"
	"fmt"
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

var errDrained = errors.New("cosproxy ends, and the time to drain is over")

// cutGrace is the time that requests have to notice that they are cut off, and
// to be logged.
const cutGrace = time.Second

// warmSplay spreads the first fetches of hundreds of sidecars that start at once
// below the quota of STS, 600/s for an account. A request that comes earlier
// has its key fetched at once.
const warmSplay = time.Second

// sidecar is one running cosproxy.
type sidecar struct {
	cfg      *config
	endpoint string // URL of the bucket
	log      *slog.Logger
	started  time.Time
	cache    *credcache.Cache // has one scope
	registry *prometheus.Registry
	handler  http.Handler // for applications
	inFlight atomic.Int64 // requests of applications
	draining atomic.Bool
}

// serve listens, fetches the first key and serves until ctx ends, and then
// drains. Its error says why it could not, or how many requests were cut off.
func serve(ctx context.Context, cfg *config, log *slog.Logger) error {
	toCOS := proxy.NewTransport(proxy.TransportOptions{ConnectTo: cfg.ConnectTo, RootCAs: cfg.roots})
	defer toCOS.CloseIdleConnections()
	toSTS := proxy.NewTransport(proxy.TransportOptions{RootCAs: cfg.roots})
	defer toSTS.CloseIdleConnections()
	s, err := newSidecar(cfg, log, toCOS, toSTS)
	if err != nil {
		return err
	}
	defer s.cache.Close()

	app, err := listen("Listen", cfg.Listen)
	if err != nil {
		return err
	}
	admin, err := listen("AdminListen", cfg.AdminListen)
	if err != nil {
		return errors.Join(err, app.Close())
	}
	s.cache.For(cfg.scope()).Warm()
	s.announce(app, admin)
	return s.run(ctx, app, admin)
}

// newSidecar wires the packages together. Nothing runs yet.
func newSidecar(cfg *config, log *slog.Logger, toCOS, toSTS http.RoundTripper) (*sidecar, error) {
	source, err := cfg.source(toSTS)
	if err != nil {
		return nil, err
	}
	route, err := cfg.route()
	if err != nil {
		return nil, err
	}
	endpoint, err := route.URL()
	if err != nil {
		return nil, err
	}
	cache := credcache.New(source, credcache.Options{Logger: log, Splay: warmSplay})
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCredentialCollector(cache),
	)
	handler, err := proxy.New(proxy.Options{
		Route:        route,
		Credentials:  cache.For(cfg.scope()),
		AllowedHosts: cfg.AllowedHosts,
		Transport:    toCOS,
		Logger:       log,
		Registerer:   registry,
	})
	return &sidecar{
		cfg: cfg, endpoint: endpoint.String(), log: log, started: time.Now(),
		cache: cache, registry: registry, handler: handler,
	}, err
}

func (s *sidecar) announce(app, admin net.Listener) {
	adminAddress := "off"
	if admin != nil {
		adminAddress = display(admin)
	}
	s.log.Info("serving",
		"listen", display(app),
		"admin", adminAddress,
		"bucket", s.cfg.Bucket,
		"region", s.cfg.Region,
		"endpoint", s.endpoint,
		"source", s.cfg.Source,
		"prefixes", s.cfg.Prefixes.String(),
		"actions", s.cfg.Actions.String(),
		"version", version(),
	)
}

// display is the address of l as it would be set, with the port that it got.
func display(l net.Listener) string {
	return address{network: l.Addr().Network(), at: l.Addr().String()}.String()
}

// run serves applications and, unless its listener is nil, the admin pages. The
// admin pages stay until applications have been drained.
func (s *sidecar) run(ctx context.Context, app, admin net.Listener) error {
	requests, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	appServer := proxy.NewServer(s.counted(s.handler), s.log)
	appServer.BaseContext = func(net.Listener) context.Context { return requests }
	adminServer := proxy.NewServer(s.adminPages(), s.log)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return untilClosed(appServer.Serve(proxy.Listener(app))) })
	if admin != nil {
		group.Go(func() error { return untilClosed(adminServer.Serve(proxy.Listener(admin))) })
	}
	group.Go(func() error {
		<-ctx.Done()
		err := s.drain(appServer, cut)
		return errors.Join(err, adminServer.Close())
	})
	return group.Wait()
}

func untilClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// counted keeps the number of requests in flight.
func (s *sidecar) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// drain stops accepting, lets the requests in flight end, and cuts off those
// that have not after the timeout: first through their context, so that they
// are logged, then through their connection.
func (s *sidecar) drain(server *http.Server, cut context.CancelCauseFunc) error {
	s.draining.Store(true)
	s.log.Info("draining", "in_flight", s.inFlight.Load(), "timeout", s.cfg.DrainTimeout.String())
	if shutdown(server, s.cfg.DrainTimeout) == nil {
		return nil
	}
	left := s.inFlight.Load()
	cut(errDrained)
	err := shutdown(server, cutGrace)
	if err != nil {
		err = server.Close()
	}
	if left == 0 { // there were only connections that had not asked for anything
		return err
	}
	return errors.Join(err, fmt.Errorf("requests in flight that were cut off: %d; if they need longer than %v, raise %s",
		left, s.cfg.DrainTimeout, variable("DrainTimeout")))
}

func shutdown(server *http.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return server.Shutdown(ctx)
}
