package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// Path is the only path that an Issuer serves.
const Path = "/credentials"

// maxWait limits how long a request waits for a fetch. It is shorter than the timeout of the
// source http, so that clients get a response.
const maxWait = 8 * time.Second

// Route is a scope of which its callers may get credentials, for all of it or a part.
type Route struct {
	// Name identifies the route in logs and metrics. Required.
	Name string
	// Scope limits the scopes that callers may request. Required.
	Scope credcache.Scope
	// Callers are the names of the callers that may use the route, as CheckCaller accepts
	// them. They are compared exactly. At least one is required.
	Callers []string
	// Cache has the credentials, with Options.ForClients. Routes with the same source and
	// lifetime share one. Its source must limit credentials to their scope. Required.
	Cache *credcache.Cache
}

// Options of an Issuer.
type Options struct {
	// Routes are searched in this order. At least one is required.
	Routes []Route
	// Tokens returns the bearer tokens of callers. It is called for each request. Its error
	// is logged and must hold no token; until it returns nil, tokens are rejected. Nil:
	// callers cannot use bearer tokens.
	Tokens func() (*Tokens, error)
	// JWT verifies tokens of service accounts. Nil: they are rejected. Tokens or JWT is
	// required.
	JWT *JWT
	// MaxScopes is the maximum number of different scopes for which one caller has valid
	// credentials. Zero: 32.
	MaxScopes int
	// Logger logs each request, without credentials and tokens. Nil: nothing is logged.
	Logger *slog.Logger
	// Observe is called after each request with the name of the route, "" if none matched,
	// and the status: 499 if the client left. Nil: not called.
	Observe func(route string, status int)
}

const defaultMaxScopes = 32

// Issuer is an http.Handler. It is safe for concurrent use.
type Issuer struct {
	opts   Options
	scopes *scopes
	stop   context.CancelFunc
}

// New returns an Issuer. Call Close to release it.
func New(opts Options) (*Issuer, error) {
	if len(opts.Routes) == 0 {
		return nil, errors.New("issuer: no routes")
	}
	if opts.Tokens == nil && opts.JWT == nil {
		return nil, errors.New("issuer: callers cannot authenticate; set Tokens or JWT")
	}
	for _, r := range opts.Routes {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("issuer: route %s: %w", r.Name, err)
		}
	}
	if opts.MaxScopes == 0 {
		opts.MaxScopes = defaultMaxScopes
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(string, int) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	i := &Issuer{opts: opts, scopes: newScopes(opts.MaxScopes), stop: stop}
	go i.scopes.run(ctx)
	return i, nil
}

func (r *Route) check() error {
	switch {
	case r.Cache == nil:
		return errors.New("no Cache")
	case len(r.Callers) == 0:
		return errors.New("no callers")
	}
	for _, caller := range r.Callers {
		if err := CheckCaller(caller); err != nil {
			return err
		}
	}
	return r.Scope.Validate()
}

// Close ends the background work of the Issuer. It does not close the caches.
func (i *Issuer) Close() { i.stop() }

// exchange is one request and what is known of it.
type exchange struct {
	caller string          // "": not authenticated
	route  *Route          // nil: none matched
	scope  credcache.Scope // canonical; zero: the parameters are not valid
	creds  signer.Credentials
}

// ServeHTTP implements http.Handler.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var x exchange
	refused := i.issue(r, &x)
	status, route := http.StatusOK, ""
	if x.route != nil {
		route = x.route.Name
	}
	if refused == nil {
		writeCredentials(w, x.creds)
	} else {
		status = refused.status
		refused.write(w)
	}
	i.opts.Observe(route, status)
	i.log(r, &x, route, refused)
}

// issue fills in x. It returns nil if x has credentials for the client.
func (i *Issuer) issue(r *http.Request, x *exchange) *refusal {
	if r.URL.Path != Path {
		return refuse(http.StatusNotFound, "NotFound", "the issuer serves only GET %s; correct the URL of the credentials server", Path)
	}
	if r.Method != http.MethodGet {
		return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "use GET")
	}
	var refused *refusal
	if x.caller, refused = i.authenticate(r); refused != nil {
		return refused
	}
	if x.scope, refused = parseScope(r.URL.RawQuery); refused != nil {
		return refused
	}
	if x.route, refused = i.routeFor(x.caller, x.scope); refused != nil {
		return refused
	}
	return i.fetch(r.Context(), x)
}

// routeFor returns the first route of the caller that contains the scope.
func (i *Issuer) routeFor(caller string, scope credcache.Scope) (*Route, *refusal) {
	var own []*Route
	for n := range i.opts.Routes {
		route := &i.opts.Routes[n]
		if !slices.Contains(route.Callers, caller) {
			continue
		}
		if route.Scope.Contains(scope) {
			return route, nil
		}
		own = append(own, route)
	}
	if own == nil {
		return nil, refuse(http.StatusForbidden, "CallerNotAllowed", "no route lists the caller %s; add it to the callers of a route of the issuer", caller)
	}
	return nil, refuse(http.StatusForbidden, "ScopeNotAllowed", "no route of the caller %s contains the scope: %s; "+
		"request less, or extend a route of the issuer", caller, excess(own, scope))
}

// excess describes what a scope has that no single route has.
func excess(routes []*Route, scope credcache.Scope) string {
	routes = slices.DeleteFunc(routes, func(r *Route) bool {
		return r.Scope.Bucket != scope.Bucket || r.Scope.Region != scope.Region
	})
	if len(routes) == 0 {
		return fmt.Sprintf("bucket %s in %s is not among them", scope.Bucket, scope.Region)
	}
	none := func(contains func(*Route) bool) bool { return !slices.ContainsFunc(routes, contains) }
	for _, prefix := range scope.AllowPrefixes {
		if none(func(r *Route) bool {
			part := r.Scope
			part.AllowPrefixes = []string{prefix}
			return r.Scope.Contains(part)
		}) {
			return fmt.Sprintf("the prefix %s is outside its prefixes", shorten(prefix))
		}
	}
	for _, action := range scope.AllowActions {
		if none(func(r *Route) bool {
			part := r.Scope
			part.AllowActions = []string{action}
			return r.Scope.Contains(part)
		}) {
			return fmt.Sprintf("the action %s is not among its actions", action)
		}
	}
	return "it needs several routes together"
}

// fetch gets the credentials of x.scope.
func (i *Issuer) fetch(ctx context.Context, x *exchange) *refusal {
	held, wait := i.scopes.acquire(x.caller, x.route.Cache, x.scope)
	if held == nil {
		refused := refuse(http.StatusTooManyRequests, "TooManyScopes", "the caller %s has credentials for %d different scopes, which is the maximum; "+
			"request fewer scopes, or raise the limit of the issuer", x.caller, i.opts.MaxScopes)
		refused.retryAfter = wait
		return refused
	}
	waiting, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	creds, err := held.provider.Credentials(waiting)
	if err == nil && creds.Expires.IsZero() {
		err = errors.New("the source returned credentials without an expiry, which the issuer does not hand out")
	}
	if err == nil {
		x.creds = creds
		i.scopes.extend(x.caller, held, creds.Expires)
		return nil
	}
	if ctx.Err() != nil {
		return &refusal{status: statusClientGone, code: "ClientGone", message: "the client left", cause: ctx.Err()}
	}
	return unavailable(err)
}

// unavailable describes a failed fetch. Clients get the code of STS; its text, which may name
// the account, goes to the log.
func unavailable(err error) *refusal {
	retryAfter, code := time.Second, ""
	var missing *credcache.UnavailableError
	if errors.As(err, &missing) {
		retryAfter = max(retryAfter, missing.RetryAfter())
	}
	var failed *credcache.SourceError
	if errors.As(err, &failed) && failed.Code != "" {
		code = " (" + failed.Code + ")"
	}
	refused := refuse(http.StatusServiceUnavailable, "Unavailable", "the issuer cannot fetch credentials now%s; "+
		"retry after %d s, and see the log of the issuer", code, seconds(retryAfter))
	refused.retryAfter, refused.cause = retryAfter, err
	return refused
}
