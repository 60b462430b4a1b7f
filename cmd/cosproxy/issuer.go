package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"cosproxy/credcache"
	"cosproxy/credcache/issuer"
)

const issuerUsage = `cosproxy issuer gives temporary credentials to sidecars, which get them with the
source http. It holds the key pair or the role, and issues credentials only for
scopes that a route contains and to callers that the route lists.

Usage:
  cosproxy issuer    serve GET /credentials until SIGTERM, SIGINT or SIGHUP

It reads the settings of routes, sources, TLS, the other listeners, shutdown and log,
as the sidecar does. cosproxy policy and cosproxy check work with its settings too.

Exit codes: 0 after a clean shutdown, 1 after a failure, 2 invalid arguments or
settings.

Settings of cosproxy issuer (environment variables):
`

// issuerHelp returns the text of cosproxy issuer --help.
func issuerHelp() string {
	var b strings.Builder
	b.WriteString(issuerUsage)
	writeUsage(&b, issuerSettings())
	return b.String()
}

// runIssuer serves credentials until ctx ends.
func runIssuer(ctx context.Context, args, environ []string, std streams) int {
	if code, ends := parseFlags(newFlags("issuer"), args, issuerHelp(), std); ends {
		return code
	}
	signal.Ignore(syscall.SIGPIPE) // as in run
	lines := newLogQueue(std.err)
	defer lines.close()
	cfg, err := loadIssuerConfig(environ)
	if err != nil {
		cfg.printProblems(err, lines)
		return exitUsage
	}
	log := lines.logger(&cfg.config)
	defer logLibraries(log)()
	for _, warning := range cfg.warnings {
		log.Warn(warning)
	}
	if err := serveIssuer(ctx, cfg, log, lines); err != nil {
		log.Error("cosproxy issuer failed", "error.message", err)
		return exitFailure
	}
	return exitOK
}

// issuerServer is one cosproxy issuer.
type issuerServer struct {
	pageHost
	started     time.Time
	credentials *credentialStore
	tokens      func() (*issuer.Tokens, error) // nil: none
	keys        *issuer.Keys                   // nil: none
	handler     *issuer.Issuer
	draining    atomic.Bool
}

// serveIssuer listens and serves until ctx ends.
func serveIssuer(ctx context.Context, cfg *resolved, log *slog.Logger, lines *logQueue) error {
	t := newTransports(cfg)
	defer t.close()
	s, err := newIssuerServer(cfg, log, t)
	if err != nil {
		return err
	}
	defer s.close()
	s.registry.MustRegister(lines.metric())

	ls, err := cfg.openListeners(log)
	if err != nil {
		return err
	}
	s.logStart(ls)
	s.notifySystemd(daemon.SdNotifyReady)
	untilEnd, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s.startWatchdog(untilEnd)
	return s.run(ctx, ls)
}

// newIssuerServer connects the packages. It starts nothing but the work of the Issuer.
func newIssuerServer(cfg *resolved, log *slog.Logger, t *transports) (*issuerServer, error) {
	store, err := newCredentialStore(cfg, t, credcache.Options{Logger: log, ForClients: true})
	if err != nil {
		return nil, err
	}
	s := &issuerServer{
		pageHost: pageHost{cfg: cfg, log: log, registry: newIssuerRegistry(store), token: cfg.clientToken(log)},
		started:  time.Now(), credentials: store, tokens: cfg.issuerTokens(log), keys: cfg.issuerKeys(t, log),
	}
	s.pageHost.notReady, s.pageHost.status = s.notReady, s.status
	options := issuer.Options{
		Tokens: s.tokens, MaxScopes: cfg.Issuer.MaxScopes, Logger: log, Observe: newIssuerObserver(s.registry),
	}
	if s.keys != nil {
		if options.JWT, err = issuer.NewJWT(issuer.JWTOptions{Issuer: cfg.Issuer.JWTIssuer, Audience: cfg.Issuer.JWTAudience, Keys: s.keys}); err != nil {
			store.close()
			return nil, err
		}
	}
	for _, r := range cfg.routes {
		options.Routes = append(options.Routes, issuer.Route{Name: r.name, Scope: r.scope(), Callers: r.Callers, Cache: store.of(r).cache})
	}
	if s.handler, err = issuer.New(options); err != nil {
		store.close()
		return nil, err
	}
	return s, nil
}

func (s *issuerServer) close() {
	s.handler.Close()
	s.credentials.close()
}

// logStart logs each route, and then the addresses of the listeners.
func (s *issuerServer) logStart(ls listeners) {
	for _, r := range s.cfg.routes {
		s.log.Info("route",
			"cosproxy.route", r.name,
			"cos.bucket", r.Bucket,
			"cloud.region", r.Region,
			"cosproxy.source", r.Source,
			"cosproxy.source_auto", r.auto,
			"cosproxy.allow_prefixes", r.AllowPrefixes.String(),
			"cosproxy.allow_actions", r.AllowActions.String(),
			"cosproxy.callers", r.Callers.String(),
		)
	}
	s.log.Info("serving", "cosproxy.listen", display(ls["IssuerListen"]), "cosproxy.admin_listen", display(ls["AdminListen"]),
		"cosproxy.health_listen", display(ls["HealthListen"]), "cosproxy.metrics_listen", display(ls["MetricsListen"]),
		"cosproxy.tls", s.cfg.isTLS(ls["IssuerListen"]), "cosproxy.routes", len(s.cfg.routes), "service.version", version())
}

// minIssuerTimeout exceeds the time that the Issuer waits for a fetch.
const minIssuerTimeout = 15 * time.Second

// listen returns the server of ls, with at most maxConns connections together. A
// sidecar sends one request in many minutes, so each connection ends after its response.
func (s *issuerServer) listen(handler http.Handler, ls []net.Listener, maxConns int64) pageServer {
	server := s.newPageServer(handler)
	server.SetKeepAlivesEnabled(false)
	server.ReadTimeout += minIssuerTimeout // it cancels a request that waits, too
	server.WriteTimeout = max(server.WriteTimeout, minIssuerTimeout)
	limit := newReplacingLimit(int(maxConns), minIssuerConnAge)
	server.ConnState = limit.connState
	return pageServer{server, s.withTLS(limited(ls, limit))}
}

// run serves sidecars on ls["IssuerListen"], and pages on the other listeners. The pages are
// available until the requests of sidecars have ended. run closes ls.
func (s *issuerServer) run(ctx context.Context, ls listeners) error {
	main := s.listen(s.handler, ls["IssuerListen"], s.cfg.issuerConns(descriptorLimit()))
	serveCtx, shutDown := context.WithCancel(ctx) // ends on a signal or POST /quit
	defer shutDown()
	s.shutDown = shutDown
	pages := s.pageServers(ls, minAdminConns)

	group, ctx := errgroup.WithContext(serveCtx) // also ends if a listener fails
	for _, p := range append(pages, main) {
		for _, l := range p.listeners {
			group.Go(func() error { return ignoreClosed(p.Serve(l)) })
		}
	}
	if s.keys != nil {
		group.Go(func() error {
			s.keys.Run(ctx)
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		err := s.drain(main.Server, s.cfg.delayAfter(serveCtx))
		return errors.Join(err, closePages(pages))
	})
	return group.Wait()
}

// drain accepts requests during delay, and then waits for those in flight.
func (s *issuerServer) drain(server *http.Server, delay time.Duration) error {
	end := time.Now().Add(s.cfg.DrainTimeout)
	s.draining.Store(true)
	s.notifySystemd(daemon.SdNotifyStopping)
	s.log.Info("draining", "cosproxy.shutdown_delay", delay.String(), "cosproxy.drain_timeout", s.cfg.DrainTimeout.String())
	time.Sleep(delay)
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(errors.New("shutdown: drain timeout exceeded; raise "+variable("DrainTimeout")), server.Close())
	}
	return nil
}
