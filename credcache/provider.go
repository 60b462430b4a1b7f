package credcache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"cosproxy/signer"
)

// Provider provides the credentials of one scope. It is safe for concurrent use.
type Provider struct {
	cache  *Cache
	scope  Scope              // canonical
	flight singleflight.Group // with one key, flightKey

	current atomic.Pointer[snapshot] // nil: none

	mu       sync.Mutex
	timer    *time.Timer // nil until first armed
	due      time.Time   // of the scheduled fetch, by the wall clock; zero: never
	dueMono  time.Time   // the same by the monotonic clock; the earlier one counts
	failures int         // consecutive
	lastErr  error       // of the last fetch; nil: it succeeded

	// These times, and dueMono, come from time.Now for its monotonic reading: intervals
	// must not change if the wall clock is set.
	started    time.Time       // of the fetch in flight; zero: none
	retryAt    time.Time       // no fetch starts before
	rejections rejectionBucket // limits fetches caused by rejections

	retired bool // by Cache.Forget; no fetch is scheduled

	refetch bool // a fetch is pending or in flight because COS rejected the credentials

	fetched, failed uint64 // for Stats
}

// Credentials returns credentials that are valid now. As long as no refresh is due this is
// one atomic load. Otherwise it may wait for a fetch, as the package documentation says. If
// ctx ends first, it returns the error of ctx. Without valid credentials the error is an
// *UnavailableError.
func (p *Provider) Credentials(ctx context.Context) (signer.Credentials, error) {
	if s := p.current.Load(); s.fresh(p.cache.opts.now()) {
		return s.creds, nil
	}
	return p.await(ctx)
}

// await implements Credentials if a refresh is due.
func (p *Provider) await(ctx context.Context) (signer.Credentials, error) {
	p.mu.Lock()
	now, s := p.cache.opts.now(), p.current.Load()
	valid, idle := s.valid(now), p.started.IsZero()
	pause, lastErr := time.Until(p.retryAt), p.lastErr
	pausing := pause > 0
	var wait time.Duration
	if valid && p.failures == 0 { // wait at most once per outage
		wait = s.maxWait(now)
		if !idle {
			wait -= time.Since(p.started)
		}
	}
	p.mu.Unlock()

	switch {
	case pausing && !valid:
		return signer.Credentials{}, p.unavailable(lastErr, pause)
	case valid && (pausing || wait <= 0):
		if idle && !pausing {
			p.refresh(ctx)
		}
		return s.creds, nil
	}
	var timeout <-chan time.Time // nil without credentials to fall back on
	if valid {
		timeout = time.After(wait)
	}
	select {
	case result := <-p.refresh(ctx):
		if result.Err != nil {
			return p.fallback(result.Err)
		}
		return result.Val.(*snapshot).creds, nil
	case <-timeout:
		return p.await(ctx)
	case <-ctx.Done():
		return signer.Credentials{}, ctx.Err()
	}
}

// fallback returns the old credentials after a fetch that failed with err, or an
// *UnavailableError if they have expired.
func (p *Provider) fallback(err error) (signer.Credentials, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.current.Load(); s.valid(p.cache.opts.now()) {
		return s.creds, nil
	}
	return signer.Credentials{}, p.unavailable(err, time.Until(p.retryAt))
}

func (p *Provider) unavailable(err error, pause time.Duration) error {
	return &UnavailableError{Bucket: p.scope.Bucket, Err: err, retryAfter: max(0, pause)}
}

// Warm fetches the first credentials in the background, after a random part of
// Options.Splay, and retries until it has them. A request that comes earlier starts a fetch
// at once. Stats reports when the credentials are ready.
func (p *Provider) Warm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fetched == 0 && p.started.IsZero() {
		now := p.cache.opts.now()
		p.schedule(now, now.Add(time.Duration(p.cache.opts.rand()*float64(p.cache.opts.Splay))))
	}
}

// retire ends the scheduled refreshes.
func (p *Provider) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// flightKey is the only key of the flights of a Provider.
const flightKey = ""

// refresh joins the fetch in flight, or starts one. Callers need not read the channel.
func (p *Provider) refresh(ctx context.Context) <-chan singleflight.Result {
	return p.flight.DoChan(flightKey, func() (any, error) { return p.fetch(ctx) })
}

// fetch calls the source once, unless another fetch ended since the caller checked. It keeps
// the values of ctx but ignores its end, because other requests wait for the same fetch.
func (p *Provider) fetch(ctx context.Context) (*snapshot, error) {
	c := p.cache
	if !c.startFetch() {
		return nil, ErrClosed
	}
	defer c.fetches.Done()
	if s, err := p.begin(); s != nil || err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()

	old := p.current.Load()
	creds, err := c.source.Fetch(ctx, p.scope)
	switch {
	case c.ctx.Err() != nil:
		return nil, ErrClosed
	case err != nil && ctx.Err() != nil:
		err = timeoutError(err)
	}
	s, err := p.complete(creds, err)
	p.logFetch(ctx, old, s, err)
	return s, err
}

// logFetch logs the result of a fetch that replaced old.
func (p *Provider) logFetch(ctx context.Context, old, s *snapshot, err error) {
	opts := p.cache.opts
	switch {
	case err != nil:
		level := slog.LevelWarn
		if errors.Is(err, ErrNotRenewed) && old.valid(opts.now()) {
			level = slog.LevelDebug // normal for a source that keeps credentials until they expire
		}
		opts.Logger.Log(ctx, level, "no new credentials", "cos.bucket", p.scope.Bucket, "error.message", err)
	case s == old:
		opts.Logger.Warn("the source has no other credentials; the rejected ones stay in use", "cos.bucket", p.scope.Bucket, "cos.secret_id", s.creds.SecretID)
	case old == nil || old.creds != s.creds:
		opts.Logger.Info("new credentials", "cos.bucket", p.scope.Bucket, "cos.credentials", s.creds, "cos.credentials_refresh", s.advisory)
	}
}

// begin records the start of a fetch. If no fetch is due, or not yet, it returns the current
// snapshot or the last error instead.
func (p *Provider) begin() (*snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.current.Load(); s.fresh(p.cache.opts.now()) && !p.isDue() && !p.refetch {
		p.endFlight()
		return s, nil
	}
	if time.Now().Before(p.retryAt) {
		p.endFlight()
		return nil, p.lastErr
	}
	p.started = time.Now()
	p.fetched++
	p.cache.fetched.Add(1)
	return nil, nil
}

// endFlight makes later calls of refresh start another flight. Otherwise a rejection between
// the result of a fetch and the end of its flight would join this flight, and the requested
// fetch would never start. p.mu is held.
func (p *Provider) endFlight() { p.flight.Forget(flightKey) }

// complete records the result of a fetch.
func (p *Provider) complete(creds signer.Credentials, err error) (*snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endFlight()
	now, r := p.cache.opts.now(), p.cache.opts.rand()
	p.started = time.Time{}
	if err == nil {
		err = checkFetched(creds, now)
	}
	if err == nil {
		if s := p.keepRejected(creds, now); s != nil {
			return s, nil
		}
		p.refetch = false
		err = p.checkRenewed(creds)
	}
	p.lastErr = err
	if err == nil {
		s := newSnapshot(creds, now, r).pollAfter(p.cache.pollInterval, now).inheritTrust(p.current.Load())
		if p.cache.opts.ForClients {
			s.renewBeforeClients(now, r)
		}
		p.current.Store(s)
		p.failures = 0
		p.schedule(now, s.advisory)
		return s, nil
	}
	p.recordFailure(now, r)
	return nil, err
}

// recordFailure schedules the next attempt after p.lastErr. p.mu is held.
func (p *Provider) recordFailure(now time.Time, r float64) {
	p.failures++
	p.failed++
	p.cache.failed.Add(1)
	s := p.current.Load()
	if p.refetch {
		s = nil // rejected credentials do not justify long pauses
	}
	pause := backoff(p.lastErr, p.failures, s, now, r)
	if interval := p.cache.pollInterval; interval > 0 { // polling is cheap
		pause = min(pause, interval)
	}
	p.retryAt = time.Now().Add(pause)
	p.schedule(now, now.Add(pause))
}

// checkRenewed returns ErrNotRenewed if creds are the current credentials with the same
// expiry. Accepting them would schedule a refresh at 2/3 of an ever shorter lifetime.
func (p *Provider) checkRenewed(creds signer.Credentials) error {
	if s := p.current.Load(); p.cache.pollInterval == 0 && s != nil && s.creds.SecretID == creds.SecretID && !creds.Expires.After(s.creds.Expires) {
		return fmt.Errorf("%w: %s expires at %s; if this repeats until then, check the issuer", ErrNotRenewed, creds.SecretID, creds.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func (p *Provider) stats() ScopeStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := ScopeStats{Scope: p.scope, Fetches: p.fetched, Failures: p.failed}
	if s := p.current.Load(); s != nil {
		stats.Ready = s.valid(p.cache.opts.now())
		stats.SecretID, stats.Expires = s.creds.SecretID, s.creds.Expires
	}
	if p.lastErr != nil {
		stats.LastError = p.lastErr.Error()
	}
	return stats
}
