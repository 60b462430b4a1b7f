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

// Provider is the handle on the key of one scope. It is safe for concurrent
// use.
type Provider struct {
	cache *Cache
	scope Scope // canonical
	id    string

	current atomic.Pointer[key] // nil: none

	mu       sync.Mutex
	timer    *time.Timer // nil until first armed
	due      time.Time   // when the timer's fetch is due, by the wall clock; zero: never
	ripe     time.Time   // the same by time.Now; the earlier of the two counts
	failures int         // in a row
	lastErr  error       // of the last fetch; nil: it succeeded

	// Intervals, taken from time.Now for its monotonic reading: a wall clock
	// that is set must not stretch them. ripe is another.
	started    time.Time      // of the fetch under way; zero: none
	retryAt    time.Time      // no fetch begins before
	rejections rejectionLimit // of fetches because COS rejected the key

	wanted bool // a fetch, because COS rejected the current key

	fetched, failed uint64 // for Stats
}

// Credentials returns a key that is valid now. While the current key is young
// that is one atomic load. Otherwise it may wait for a fetch as the package
// documentation says, but not beyond the end of ctx, whose error it then
// returns. Without a valid key the error is an *UnavailableError.
func (p *Provider) Credentials(ctx context.Context) (signer.Credentials, error) {
	if k := p.current.Load(); k.restful(p.cache.opts.now()) {
		return k.creds, nil
	}
	return p.await(ctx)
}

// await is Credentials when something has to be done.
func (p *Provider) await(ctx context.Context) (signer.Credentials, error) {
	p.mu.Lock()
	now, k := p.cache.opts.now(), p.current.Load()
	valid, idle := k.valid(now), p.started.IsZero()
	pause, lastErr := time.Until(p.retryAt), p.lastErr
	resting := pause > 0
	var wait time.Duration
	if valid && p.failures == 0 { // who waited once for nothing need not again
		wait = k.patience(now)
		if !idle {
			wait -= time.Since(p.started)
		}
	}
	p.mu.Unlock()

	switch {
	case resting && !valid:
		return signer.Credentials{}, p.unavailable(lastErr, pause)
	case valid && (resting || wait <= 0):
		if idle && !resting {
			p.refresh(ctx)
		}
		return k.creds, nil
	}
	var late <-chan time.Time // never, without a key to make do with
	if valid {
		late = time.After(wait)
	}
	select {
	case result := <-p.refresh(ctx):
		if result.Err != nil {
			return p.fallback(result.Err)
		}
		return result.Val.(*key).creds, nil
	case <-late:
		return p.await(ctx)
	case <-ctx.Done():
		return signer.Credentials{}, ctx.Err()
	}
}

// fallback is the outcome of a fetch that failed with err: the old key while
// COS still accepts it.
func (p *Provider) fallback(err error) (signer.Credentials, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.current.Load(); k.valid(p.cache.opts.now()) {
		return k.creds, nil
	}
	return signer.Credentials{}, p.unavailable(err, time.Until(p.retryAt))
}

func (p *Provider) unavailable(err error, pause time.Duration) error {
	return &UnavailableError{Bucket: p.scope.Bucket, Err: err, retryAfter: max(0, pause)}
}

// Warm has the first key fetched in the background, after a random part of
// Options.Splay, and tried again until there is one. A request that comes
// earlier fetches at once. Stats says when the key is there.
func (p *Provider) Warm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fetched == 0 && p.started.IsZero() {
		now := p.cache.opts.now()
		p.plan(now, now.Add(time.Duration(p.cache.opts.rand()*float64(p.cache.opts.Splay))))
	}
}

// refresh joins the fetch under way, or begins one. The channel need not be
// read.
func (p *Provider) refresh(ctx context.Context) <-chan singleflight.Result {
	return p.cache.flight.DoChan(p.id, func() (any, error) { return p.fetch(ctx) })
}

// fetch calls the source once, unless the call turns out to be needless: the
// one who asked for it may have looked just before another fetch ended. It
// keeps the values of ctx, but not its end: others wait for the same fetch.
func (p *Provider) fetch(ctx context.Context) (*key, error) {
	c := p.cache
	if !c.enter() {
		return nil, ErrClosed
	}
	defer c.fetches.Done()
	if k, err := p.begin(); k != nil || err != nil {
		return k, err
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
	k, err := p.settle(creds, err)
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, ErrSameKey) && old.valid(c.opts.now()) {
			level = slog.LevelDebug // a source that keeps its keys to the end is no trouble
		}
		c.opts.Logger.Log(ctx, level, "no new key", "cos.bucket", p.scope.Bucket, "error.message", err)
		return nil, err
	}
	switch {
	case k == old:
		c.opts.Logger.Warn("the source has no other key; the rejected one stays in use", "cos.bucket", p.scope.Bucket, "cos.secret_id", k.creds.SecretID)
	case old == nil || old.creds != k.creds:
		c.opts.Logger.Info("new key", "cos.bucket", p.scope.Bucket, "cos.credentials", k.creds, "cos.credentials_refresh", k.soft)
	}
	return k, nil
}

// begin notes that a fetch starts. It returns a key or an error instead if
// there is nothing to fetch, or not yet.
func (p *Provider) begin() (*key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.current.Load(); k.restful(p.cache.opts.now()) && !p.isRipe() && !p.wanted {
		return k, nil
	}
	if time.Now().Before(p.retryAt) {
		return nil, p.lastErr
	}
	p.started = time.Now()
	p.fetched++
	return nil, nil
}

// settle takes in the outcome of a fetch.
func (p *Provider) settle(creds signer.Credentials, err error) (*key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, r := p.cache.opts.now(), p.cache.opts.rand()
	p.started = time.Time{}
	if err == nil {
		err = checkAnswer(creds, now)
	}
	if err == nil {
		if k := p.keep(creds, now); k != nil {
			return k, nil
		}
		p.wanted = false
		err = p.checkNewer(creds)
	}
	p.lastErr = err
	if err == nil {
		k := newKey(creds, now, r).recheckedAfter(p.cache.recheck, now).known(p.current.Load())
		p.current.Store(k)
		p.failures = 0
		p.plan(now, k.soft)
		return k, nil
	}
	p.fail(now, r)
	return nil, err
}

// fail plans the next attempt after p.lastErr. p.mu is held.
func (p *Provider) fail(now time.Time, r float64) {
	p.failures++
	p.failed++
	k := p.current.Load()
	if p.wanted {
		k = nil // nothing to rest on
	}
	pause := backoff(p.lastErr, p.failures, k, now, r)
	if recheck := p.cache.recheck; recheck > 0 { // looking again costs nothing
		pause = min(pause, recheck)
	}
	p.retryAt = time.Now().Add(pause)
	p.plan(now, now.Add(pause))
}

// checkNewer refuses a key that is no step forward. To take the current key
// again would also plan a refresh at 2/3 of an ever shorter rest.
func (p *Provider) checkNewer(creds signer.Credentials) error {
	if k := p.current.Load(); p.cache.recheck == 0 && k != nil && k.creds.SecretID == creds.SecretID && !creds.Expires.After(k.creds.Expires) {
		return fmt.Errorf("%w: %s expires at %s", ErrSameKey, creds.SecretID, creds.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func (p *Provider) stats() ScopeStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := ScopeStats{Scope: p.scope, Fetches: p.fetched, Failures: p.failed}
	if k := p.current.Load(); k != nil {
		s.Ready = k.valid(p.cache.opts.now())
		s.SecretID, s.Expires = k.creds.SecretID, k.creds.Expires
	}
	if p.lastErr != nil {
		s.LastError = p.lastErr.Error()
	}
	return s
}
