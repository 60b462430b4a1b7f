package credcache

import (
	"context"
	"sync/atomic"
	"time"

	"cosproxy/signer"
)

// What happens when COS rejects credentials. A rejection is a hint and no proof:
// a fault at COS also shows as one. So they stay in use until the source gives
// others, and COS has the last word on each request.

const (
	// trustTime is how long an acceptance by COS makes one rejection doubtful.
	trustTime = 5 * time.Second

	// A rejection may cause a call of the source: rejectionBurst of them at once,
	// then one for each rejectionPause.
	rejectionBurst = 5
	rejectionPause = 10 * time.Second
)

// trust is what COS said of one SecretID. It is safe for concurrent use.
type trust struct {
	accepted atomic.Int64 // when, in nanoseconds since Cache.start; 0: not since the last proof against it
	doubted  atomic.Bool  // rejected since then
}

// accept notes an acceptance at now, without a write if that says nothing new:
// all requests share the cache line.
func (t *trust) accept(now time.Duration) {
	const resolution = int64(trustTime / 50)
	if at := t.accepted.Load(); at == 0 || int64(now)-at >= resolution || t.doubted.Load() {
		t.accepted.Store(int64(now))
		t.doubted.Store(false)
	}
}

// recent reports whether COS accepted the SecretID a moment before now.
func (t *trust) recent(now time.Duration) bool {
	at := t.accepted.Load()
	return at > 0 && now-time.Duration(at) < trustTime
}

// rejectionLimit is a token bucket in the form of the instant at which it is
// full again. The zero value is full.
type rejectionLimit struct{ full time.Time }

// take reports whether a call at now is within the limit, and counts it if so.
func (l *rejectionLimit) take(now time.Time) bool {
	if l.full.Before(now) {
		l.full = now
	}
	if l.full.Sub(now) > (rejectionBurst-1)*rejectionPause {
		return false
	}
	l.full = l.full.Add(rejectionPause)
	return true
}

// Accepted reports that COS accepted the key with this SecretID. It costs an
// atomic load or two.
func (p *Provider) Accepted(secretID string) {
	if k := p.current.Load(); k != nil && k.creds.SecretID == secretID {
		k.trust.accept(p.cache.elapsed())
	}
}

// Invalidate reports that COS rejected the key with this SecretID, and has the
// source asked for another in the background. again says that COS rejected it
// twice for the same request. A report on an older key does nothing.
//
// It returns true if COS accepted the key within the last 5 s and again is
// false: the request should try the same key once more. The source is then
// asked only if COS has rejected the key twice in a row.
//
// The key stays in use: the source may have no other, and COS may be wrong. The
// source is asked 5 times at once and then every 10 s at most, and not during
// the pause after its own failure.
func (p *Provider) Invalidate(secretID string, again bool) (retry bool) {
	k := p.current.Load()
	if k == nil || k.creds.SecretID != secretID {
		return false
	}
	retry = !again && k.trust.recent(p.cache.elapsed())
	first := !k.trust.doubted.Swap(true)
	if retry && first {
		return true
	}
	if !retry {
		k.trust.accepted.Store(0)
	}
	if p.want(k) {
		p.cache.opts.Logger.Warn("COS rejects the key; asking its source for another", "bucket", p.scope.Bucket, "secret_id", secretID)
		p.refresh(context.Background())
	}
	return retry
}

// Replacement returns the key that takes the place of the rejected one with this
// SecretID. It waits for the fetch under way, but not beyond the end of ctx. ok
// is false if there is no other key: the source gave the same, failed or may not
// be asked yet. Its error is in the log.
func (p *Provider) Replacement(ctx context.Context, secretID string) (next signer.Credentials, ok bool) {
	if k := p.current.Load(); k.valid(p.cache.opts.now()) && k.creds.SecretID != secretID {
		return k.creds, true
	}
	select {
	case result := <-p.refresh(ctx):
		if result.Err != nil {
			return signer.Credentials{}, false
		}
		next = result.Val.(*key).creds
		return next, next.SecretID != secretID
	case <-ctx.Done():
		return signer.Credentials{}, false
	}
}

// want asks for a fetch because COS rejected k. It reports whether this is new
// and within the limit.
func (p *Provider) want(k *key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	underway := p.wanted || !p.started.IsZero()
	if p.current.Load() != k || underway || !p.rejections.take(time.Now()) {
		return false
	}
	p.wanted = true
	p.hurry()
	return true
}

// hurry shortens a pause that was planned while the key was good: a rejected one
// is nothing to rest on. p.mu is held.
func (p *Provider) hurry() {
	if p.failures == 0 {
		return
	}
	now := p.cache.opts.now()
	pause := backoff(p.lastErr, p.failures, nil, now, p.cache.opts.rand())
	if at := time.Now().Add(pause); at.Before(p.retryAt) {
		p.retryAt = at
		p.plan(now, now.Add(pause))
	}
}

// keep answers a fetch because of a rejection that brought the rejected key again:
// the key goes on as if nobody had asked. It returns nil for any other outcome.
// p.mu is held.
func (p *Provider) keep(creds signer.Credentials, now time.Time) *key {
	k := p.current.Load()
	if !p.wanted || !k.restful(now) || !k.repeatedBy(creds) {
		return nil
	}
	if p.wanted = false; p.failures > 0 {
		p.failures, p.lastErr = 0, nil
		p.plan(now, k.soft)
	}
	return k
}

// repeatedBy reports whether creds are those of k and live no longer.
func (k *key) repeatedBy(creds signer.Credentials) bool {
	return k.creds.SecretID == creds.SecretID && k.creds.SecretKey == creds.SecretKey && k.creds.Token == creds.Token &&
		!creds.Expires.After(k.creds.Expires)
}
