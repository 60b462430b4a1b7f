package credcache

import (
	"context"
	"sync/atomic"
	"time"

	"cosproxy/signer"
)

// COS may reject credentials because of a fault of its own, so one rejection proves
// nothing. Rejected credentials stay in use until the source returns others, and the
// client gets the response of COS.

const (
	// trustPeriod is how long after an acceptance one rejection is considered a fault of
	// COS.
	trustPeriod = 5 * time.Second

	// Rejections may cause rejectionBurst calls of the source at once, and then one every
	// rejectionInterval.
	rejectionBurst    = 5
	rejectionInterval = 10 * time.Second
)

// trust records the responses of COS to one SecretID. It is safe for concurrent use.
type trust struct {
	accepted atomic.Int64 // last acceptance, in nanoseconds since Cache.start; 0: none, or revoked by a rejection
	rejected atomic.Bool  // since the last acceptance
}

// accept records an acceptance at now. It writes only if that changes something, because all
// requests share the cache line.
func (t *trust) accept(now time.Duration) {
	const resolution = int64(trustPeriod / 50)
	if at := t.accepted.Load(); at == 0 || int64(now)-at >= resolution || t.rejected.Load() {
		t.accepted.Store(int64(now))
		t.rejected.Store(false)
	}
}

// recent reports whether COS accepted the SecretID less than trustPeriod before now.
func (t *trust) recent(now time.Duration) bool {
	at := t.accepted.Load()
	return at > 0 && now-time.Duration(at) < trustPeriod
}

// rejectionBucket is a token bucket, stored as the time at which it is full again. The zero
// value is full.
type rejectionBucket struct{ full time.Time }

// take reports whether the bucket has a token at now, and takes it.
func (b *rejectionBucket) take(now time.Time) bool {
	if b.full.Before(now) {
		b.full = now
	}
	if b.full.Sub(now) > (rejectionBurst-1)*rejectionInterval {
		return false
	}
	b.full = b.full.Add(rejectionInterval)
	return true
}

// Accepted reports that COS accepted the credentials with this SecretID. It costs one or two
// atomic loads.
func (p *Provider) Accepted(secretID string) {
	if s := p.current.Load(); s != nil && s.creds.SecretID == secretID {
		s.trust.accept(p.cache.elapsed())
	}
}

// Invalidate reports that COS, or STS if they are those of RoleOptions.Caller, rejected the
// credentials with this SecretID, and starts a fetch in the background. again says that they
// were rejected twice for the same request. A report on older credentials has no effect.
//
// It returns true if COS accepted the credentials within the last 5 s and again is false:
// the request should be sent once more with the same credentials. A fetch then starts only
// if COS rejected them twice in a row.
//
// The credentials stay in use, because the source may have no others and COS may be wrong.
// Rejections start at most 5 fetches at once and then one every 10 s, and none during the
// pause after a failed fetch.
func (p *Provider) Invalidate(secretID string, again bool) (retry bool) {
	s := p.current.Load()
	if s == nil || s.creds.SecretID != secretID {
		return false
	}
	retry = !again && s.trust.recent(p.cache.elapsed())
	first := !s.trust.rejected.Swap(true)
	if retry && first {
		return true
	}
	if !retry {
		s.trust.accepted.Store(0)
	}
	if p.requestRefetch(s) {
		p.cache.opts.Logger.Warn("credentials rejected; fetching others", "cos.bucket", p.scope.Bucket, "cos.secret_id", secretID)
		p.refresh(context.Background())
	}
	return retry
}

// Replacement returns the credentials that replace the rejected ones with this SecretID. It
// waits for the fetch in flight, but not beyond the end of ctx. ok is false if there are no
// others: the source returned the same ones, failed, or must not be called yet. The log has
// its error.
func (p *Provider) Replacement(ctx context.Context, secretID string) (next signer.Credentials, ok bool) {
	if s := p.current.Load(); s.valid(p.cache.opts.now()) && s.creds.SecretID != secretID {
		return s.creds, true
	}
	select {
	case result := <-p.refresh(ctx):
		if result.Err != nil {
			return signer.Credentials{}, false
		}
		next = result.Val.(*snapshot).creds
		return next, next.SecretID != secretID
	case <-ctx.Done():
		return signer.Credentials{}, false
	}
}

// requestRefetch requests a fetch because COS rejected s. It returns false if one is already
// requested or in flight, s is not current, or the limit is reached.
func (p *Provider) requestRefetch(s *snapshot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	inFlight := p.refetch || !p.started.IsZero()
	if p.current.Load() != s || inFlight || !p.rejections.take(time.Now()) {
		return false
	}
	p.refetch = true
	p.rescheduleSooner()
	return true
}

// rescheduleSooner recomputes the backoff after a rejection: the current pause may be long
// because the credentials were valid. p.mu is held.
func (p *Provider) rescheduleSooner() {
	if p.failures == 0 {
		return
	}
	now := p.cache.opts.now()
	pause := backoff(p.lastErr, p.failures, nil, now, p.cache.opts.rand())
	if at := time.Now().Add(pause); at.Before(p.retryAt) {
		p.retryAt = at
		p.schedule(now, now.Add(pause))
	}
}

// keepRejected handles a fetch after a rejection that returned the rejected credentials: it
// returns the current snapshot, whose refresh stays as scheduled. It returns nil for any
// other result. p.mu is held.
func (p *Provider) keepRejected(creds signer.Credentials, now time.Time) *snapshot {
	s := p.current.Load()
	if !p.refetch || !s.fresh(now) || !s.repeatedBy(creds) {
		return nil
	}
	if p.refetch = false; p.failures > 0 {
		p.failures, p.lastErr = 0, nil
		p.schedule(now, s.advisory)
	}
	return s
}

// repeatedBy reports whether creds are the credentials of s without a later expiry.
func (s *snapshot) repeatedBy(creds signer.Credentials) bool {
	return s.creds.SecretID == creds.SecretID && s.creds.SecretKey == creds.SecretKey && s.creds.Token == creds.Token &&
		!creds.Expires.After(s.creds.Expires)
}
