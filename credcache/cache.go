package credcache

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Cache. The zero value is ready to use.
type Options struct {
	// Splay delays the fetch of Provider.Warm by a random part of Splay, so that
	// many processes that start together stay below the quota of STS (600/s per
	// account): 20 s is enough for 10,000 processes. Requests do not wait for it.
	// Zero: no delay.
	Splay time.Duration
	// ForClients says that the credentials go to clients with a Cache of their own, as an
	// issuer hands them out. The cache then renews them at half of their life instead of
	// 2/3, so that a client never gets its current credentials again when it refreshes
	// them. False: the process uses the credentials itself.
	ForClients bool
	// Logger logs each fetch that returns new credentials and each failure. Nil:
	// nothing is logged.
	Logger *slog.Logger

	now  func() time.Time // wall clock, for the lifetime of credentials; nil: time.Now
	rand func() float64   // jitter, uniform in [0,1), called concurrently; nil: rand.Float64
}

// fetchTimeout limits one call of the source.
const fetchTimeout = 10 * time.Second

// Cache holds the credentials of each scope. It is safe for concurrent use.
type Cache struct {
	source       Source
	pollInterval time.Duration // of a Poller; 0: source is not a Poller
	opts         Options
	start        time.Time // by time.Now

	ctx   context.Context // canceled by Close
	close context.CancelFunc

	fetched, failed atomic.Uint64 // by all Providers, forgotten ones included

	mu        sync.Mutex
	providers map[string]*Provider // by Scope.ID
	fetches   sync.WaitGroup       // Add only under mu and before close
}

// New returns a Cache that gets its credentials from source. It starts no fetch
// before the first call of Provider.Credentials or Provider.Warm. Call Close to
// release it.
func New(source Source, opts Options) *Cache {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.now == nil {
		opts.now = time.Now
	}
	if opts.rand == nil {
		opts.rand = rand.Float64
	}
	c := &Cache{source: source, opts: opts, start: time.Now(), providers: make(map[string]*Provider)}
	if p, ok := source.(Poller); ok {
		c.pollInterval = p.PollInterval()
	}
	c.ctx, c.close = context.WithCancel(context.Background())
	return c
}

// For returns the Provider of scope. Equal scopes share one. For does not validate
// the scope: Scope.Validate does, and so do sources that send a policy.
func (c *Cache) For(scope Scope) *Provider {
	scope = scope.canonical()
	id := scope.ID()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.providers[id]
	if p == nil {
		p = &Provider{cache: c, scope: scope}
		c.providers[id] = p
	}
	return p
}

// Forget drops the Provider of scope: its refreshes end, and the next call of For creates
// another one. Callers that still hold the Provider may use it. A scope without a Provider is
// not an error.
func (c *Cache) Forget(scope Scope) {
	id := scope.canonical().ID()
	c.mu.Lock()
	p := c.providers[id]
	delete(c.providers, id)
	c.mu.Unlock()
	if p != nil {
		p.retire()
	}
}

// ScopeStats is the state of one scope. It holds no secret.
type ScopeStats struct {
	Scope    Scope     // canonical: sorted, presets expanded
	Ready    bool      // the cache holds credentials that are valid now
	SecretID string    // of the current credentials; "": none
	Expires  time.Time // of the current credentials; zero: none, or they do not expire
	Fetches  uint64    // calls of the source
	Failures uint64    // calls that returned no new credentials
	// LastError is the text of the last fetch's error; "" if it succeeded.
	LastError string
}

// Stats returns the state of every scope passed to For and not to Forget, in a stable order.
func (c *Cache) Stats() []ScopeStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stats []ScopeStats
	for _, id := range slices.Sorted(maps.Keys(c.providers)) {
		stats = append(stats, c.providers[id].stats())
	}
	return stats
}

// Totals returns the calls of the source so far, and those that returned no new credentials,
// including those for forgotten scopes.
func (c *Cache) Totals() (fetches, failures uint64) { return c.fetched.Load(), c.failed.Load() }

// Close stops the background refreshes, cancels the fetches in flight and waits for
// them. Valid credentials stay usable. A call that needs new ones gets an error that
// wraps ErrClosed.
func (c *Cache) Close() {
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
	c.fetches.Wait()
}

// elapsed returns the age of c by the monotonic clock; it is never 0.
func (c *Cache) elapsed() time.Duration { return time.Since(c.start) + 1 }

// startFetch reports whether a fetch may start. If so, the caller must call
// fetches.Done.
func (c *Cache) startFetch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.fetches.Add(1)
	return true
}
