package credcache

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cosproxy/signer"
)

// The refresh policy: when a key is renewed, when it is no longer trusted, and
// how failures are spaced. Pure: time and chance are arguments.

const (
	softJitter = 0.1             // of the soft refresh, either way
	softMargin = 5 * time.Minute // a long-lived key is renewed at least this early
	longLife   = 15 * time.Minute

	hardWindow = 60 * time.Second // before the expiry
	hardShare  = 5                // but never more than this part (1/n) of the life

	// maxWait bounds what a hanging source can cost a request that could use
	// the old key; maxWaitShare keeps the wait well inside that key's life.
	maxWait      = time.Second
	maxWaitShare = 4

	backoffBase = time.Second
	backoffMax  = 60 * time.Second
	// backoffFloor keeps a draw near zero from making a retry a hot loop.
	backoffFloor = 100 * time.Millisecond
	// backoffShare bounds a pause to this part (1/n) of a short life, or a few
	// failures would cost several lives without a key.
	backoffShare = 10

	// Who holds a key with a long rest is in no hurry: pauses grow to this part
	// (1/n) of the rest. At 60 s, 10,000 sidecars that come upon an outage at
	// their first refresh would make 585 calls/s (TestFleet; 600 are allowed).
	patientShare = 5
	patientMax   = 5 * time.Minute

	// Who was told RequestLimitExceeded starts with longer pauses. 10,000 cold
	// requests within 10 s then make 1,700 calls/s at most instead of 3,000, and
	// 7,000 refused ones instead of 19,000; the last key comes as soon. 60 s as
	// the limit cost 45 % more calls on web identity's 20/s, 5 min a later end.
	limitedBase = 8 * time.Second
	limitedMax  = 2 * time.Minute

	// negativeTTL is how long a permanent error is believed. It is short because
	// "permanent" can be repaired from outside: a key enabled again, a clock set
	// right.
	negativeTTL   = 5 * time.Second
	permanentBase = 2 * negativeTTL // or every sidecar of a fleet would call each 5 s

	// maxLife bounds the expiry that is believed. STS issues 36 h (129600 s) at
	// most; what is much further away is milliseconds taken for seconds, or a
	// local clock that is days behind.
	maxLife = 48 * time.Hour
)

// key is an immutable snapshot: credentials and the instants that matter. The
// instants carry no monotonic reading, so that comparing them uses the wall
// clock, which goes on while the machine sleeps.
type key struct {
	creds signer.Credentials
	soft  time.Time     // renew in the background from here on
	hard  time.Time     // wait for a fresh key from here on
	life  time.Duration // from the fetch to the expiry; 0: it never expires
	trust *trust        // the one thing that changes
}

// newKey plans the life of creds, fetched at now. r in [0,1) is the jitter.
func newKey(creds signer.Credentials, now time.Time, r float64) *key {
	k := &key{creds: creds, trust: &trust{}}
	if creds.Expires.IsZero() {
		return k
	}
	now, expires := now.Round(0), creds.Expires.Round(0)
	life := expires.Sub(now)
	k.creds.Expires, k.life = expires, life
	k.soft = now.Add(time.Duration(float64(life) * 2 / 3 * (1 - softJitter + 2*softJitter*r)))
	if latest := expires.Add(-softMargin); life > longLife && k.soft.After(latest) {
		k.soft = latest
	}
	k.hard = expires.Add(-min(hardWindow, life/hardShare))
	return k
}

// recheckedAfter plans the next look at the key of a Rechecker.
func (k *key) recheckedAfter(pause time.Duration, now time.Time) *key {
	if pause > 0 {
		k.soft = now.Round(0).Add(pause)
		if expires := k.creds.Expires; !expires.IsZero() && expires.Before(k.soft) {
			k.soft = expires
		}
	}
	return k
}

// known keeps what COS said of the same SecretID before; old may be nil.
func (k *key) known(old *key) *key {
	if old != nil && old.creds.SecretID == k.creds.SecretID {
		k.trust = old.trust
	}
	return k
}

// restful reports whether k asks for nothing to be done at now.
func (k *key) restful(now time.Time) bool {
	return k != nil && (k.soft.IsZero() || now.Before(k.soft))
}

// valid reports whether COS would still accept k at now.
func (k *key) valid(now time.Time) bool {
	return k != nil && !k.creds.Expired(now)
}

// patience is how long a request that found k at now may wait for a fetch,
// counted from the start of the fetch, before it makes do with k.
func (k *key) patience(now time.Time) time.Duration {
	if now.Before(k.hard) {
		return 0
	}
	return min(maxWait, k.creds.Expires.Sub(now)/maxWaitShare)
}

// backoff is the pause after the n-th failure in a row, n from 1, whose error
// is err; k is the key held meanwhile, and may be nil or expired.
//
// Full jitter spreads the clients of a recovering service best (AWS
// Architecture Blog, "Exponential Backoff And Jitter"). An attempt is tied to
// the expiry of k only if the source had no newer key, as that of a metadata
// server or a file, which may change at the last moment. The keys of a fleet
// that started together expire together, and STS would get all those calls too.
func backoff(err error, n int, k *key, now time.Time, r float64) time.Duration {
	base, limit := backoffBase, backoffMax
	if k != nil && k.life > 0 {
		limit = min(limit, k.life/backoffShare)
		limit = max(limit, min(patientMax, k.creds.Expires.Sub(now)/patientShare))
	}
	floor := backoffFloor
	switch {
	case !retryable(err):
		base, limit, floor = permanentBase, max(limit, backoffMax), negativeTTL
	case limited(err):
		base, limit = limitedBase, max(limit, limitedMax)
	}
	step := min(limit, base<<min(n-1, 10)) // 2^10 s is beyond every limit
	pause := max(floor, time.Duration(r*float64(step)))
	if k.valid(now) && k.life > 0 && errors.Is(err, ErrSameKey) {
		pause = min(pause, k.creds.Expires.Sub(now))
	}
	return pause
}

// limited reports whether err is the issuer's plea for fewer calls.
func limited(err error) bool {
	var failed *SourceError
	if !errors.As(err, &failed) {
		return false
	}
	class, _, _ := strings.Cut(failed.Code, ".")
	return class == "RequestLimitExceeded" || failed.Code == "HTTP 429"
}

// checkAnswer refuses what must never be cached as a key.
func checkAnswer(creds signer.Credentials, now time.Time) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadAnswer}, args...)...)
	}
	expires := creds.Expires.UTC().Format(time.RFC3339)
	switch {
	case creds.SecretID == "":
		return bad("no SecretId")
	case creds.SecretKey == "":
		return bad("no SecretKey")
	case creds.Expires.IsZero():
		return nil
	case creds.Token == "":
		return bad("a key that expires needs a session token, and there is none")
	case creds.Expired(now):
		return bad("it expired at %s, and this machine's clock says %s; check the clock", expires, now.UTC().Format(time.RFC3339))
	case creds.Expires.Sub(now) > maxLife:
		return bad("it would expire at %s, more than %v from now; no temporary key lives that long, check the clock", expires, maxLife)
	}
	return nil
}
