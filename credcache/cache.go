package credcache

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Options of a Cache. The zero value is ready to use.
type Options struct {
	// Splay spreads Provider.Warm: its fetch starts after a random part of
	// Splay, so that a roll-out of many processes does not meet the quota of
	// STS (600/s per account): 20 s suit 10,000 processes started at once. A
	// request does not wait for it. Zero: at once.
	Splay time.Duration
	// Logger gets a line for each fetched key and each failure. Nil: no logs.
	Logger *slog.Logger

	now  func() time.Time // wall clock, by which the life of keys is judged; nil: time.Now
	rand func() float64   // draws the jitter, uniform in [0,1), concurrently; nil: rand.Float64
}

// fetchTimeout is the time limit of one call of the source.
const fetchTimeout = 10 * time.Second

// Cache holds one key per scope. It is safe for concurrent use.
type Cache struct {
	source  Source
	recheck time.Duration // of a Rechecker; 0: source is none
	opts    Options
	flight  singleflight.Group
	start   time.Time // by time.Now

	ctx   context.Context // ends with Close
	close context.CancelFunc

	mu        sync.Mutex
	providers map[string]*Provider // by Scope.id
	fetches   sync.WaitGroup       // Add only under mu and before close
}

// New returns a Cache that takes its keys from source. It fetches nothing
// until it is asked. Close ends it.
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
	if r, ok := source.(Rechecker); ok {
		c.recheck = r.Recheck()
	}
	c.ctx, c.close = context.WithCancel(context.Background())
	return c
}

// For returns the handle on scope; equal scopes have the same. It does not
// judge the scope: Scope.Validate does, and so do sources that build a policy.
func (c *Cache) For(scope Scope) *Provider {
	scope = scope.canonical()
	id := scope.id()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.providers[id]
	if p == nil {
		p = &Provider{cache: c, scope: scope, id: id}
		c.providers[id] = p
	}
	return p
}

// ScopeStats is the state of one scope. It holds no secret.
type ScopeStats struct {
	Scope    Scope     // canonical: sorted, presets expanded
	Ready    bool      // there is a key and it is valid now
	SecretID string    // of the current key; "": none
	Expires  time.Time // of the current key; zero: none, or it never expires
	Fetches  uint64    // calls of the source so far
	Failures uint64    // how many of them brought no new key
	// LastError is the text of the last fetch's error; "" if it succeeded.
	LastError string
}

// Stats returns the state of every scope asked for so far, in a stable order.
func (c *Cache) Stats() []ScopeStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stats []ScopeStats
	for _, id := range slices.Sorted(maps.Keys(c.providers)) {
		stats = append(stats, c.providers[id].stats())
	}
	return stats
}

// Close stops the background refreshes, breaks off fetches under way and waits
// for them. Keys that are still valid stay usable; whoever needs a new one gets
// an error that wraps ErrClosed.
func (c *Cache) Close() {
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
	c.fetches.Wait()
}

// elapsed is how long c has been there, by the monotonic clock; never 0.
func (c *Cache) elapsed() time.Duration { return time.Since(c.start) + 1 }

// enter reports whether a fetch may begin; whoever enters calls fetches.Done.
func (c *Cache) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.fetches.Add(1)
	return true
}
