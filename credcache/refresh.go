package credcache

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cosproxy/signer"
)

// The refresh policy: when credentials are renewed, when they are no longer used, and how
// long to pause after failures. All functions are pure: time and randomness are arguments.

const (
	advisoryJitter = 0.1             // of the advisory refresh, in both directions
	advisoryMargin = 5 * time.Minute // minimum time between advisory refresh and expiry of a long lifetime
	longLife       = 15 * time.Minute

	// clientsShare is the advisory refresh of an issuer, as a part (1/n) of the life. With the
	// jitter it is due after 0.45 to 0.55 of the life. A client refreshes after at least 0.6 of
	// the life that its credentials had left, so at 0.6 of the whole life or later.
	clientsShare = 2

	mandatoryWindow = 60 * time.Second // before the expiry
	mandatoryShare  = 5                // but at most this part (1/n) of the lifetime

	// maxWaitLimit limits how long a hanging source can delay a request that could use the
	// old credentials. maxWaitShare keeps the wait well inside their lifetime.
	maxWaitLimit = time.Second
	maxWaitShare = 4

	backoffBase = time.Second
	maxBackoff  = 60 * time.Second
	// minBackoff prevents a busy loop if the jitter is close to zero.
	minBackoff = 100 * time.Millisecond
	// backoffLifeShare limits a pause to this part (1/n) of a short lifetime. Otherwise a few
	// failures would cost several lifetimes without credentials.
	backoffLifeShare = 10

	// With valid credentials a retry is not urgent: pauses grow to this part (1/n) of the
	// remaining lifetime. With 60 s, 10,000 sidecars whose first refresh meets an outage would
	// make 585 calls/s (TestFleet; the quota is 600).
	backoffRestShare = 5
	maxRestBackoff   = 5 * time.Minute

	// After RequestLimitExceeded pauses start longer. 10,000 requests without credentials
	// within 10 s then make at most 1,700 calls/s instead of 3,000, and 7,000 rejected calls
	// instead of 19,000. The last of them gets its credentials at the same time. A maximum
	// of 60 s cost 45 % more calls at the web identity quota of 20/s; a maximum of 5 min
	// delayed the last credentials.
	rateLimitedBackoffBase = 8 * time.Second
	maxRateLimitedBackoff  = 2 * time.Minute

	// maxRetryAfter limits the delay that a server asks for, such as an issuer whose clients
	// have too many scopes. After a longer one, credentials would be missing long after the
	// cause is gone.
	maxRetryAfter = 5 * time.Minute
	// retryAfterShare is the minimum jitter after such a delay, as a part (1/n) of it. Without
	// it, a fleet that got the same delay would come back at once.
	retryAfterShare = 2

	// minPermanentBackoff is how long a permanent error is remembered at least. It is short because
	// an operator can correct the cause: enable the SecretId, set the clock.
	minPermanentBackoff  = 5 * time.Second
	permanentBackoffBase = 2 * minPermanentBackoff // otherwise every sidecar of a fleet would call every 5 s

	// maxLife limits a plausible expiry. STS grants at most 36 h (129600 s). A much later
	// expiry means milliseconds read as seconds, or a local clock that is days behind.
	maxLife = 48 * time.Hour
)

// snapshot is immutable: credentials and the times of their refresh. The times have no
// monotonic reading, so that comparisons use the wall clock, which advances while the
// machine sleeps.
type snapshot struct {
	creds     signer.Credentials
	advisory  time.Time     // from now on refresh in the background; zero: never
	mandatory time.Time     // from now on requests wait for the refresh; zero: never
	life      time.Duration // from the fetch to the expiry; 0: no expiry
	trust     *trust        // the only mutable part
}

// newSnapshot schedules the refresh of creds, fetched at now. r in [0,1) is the jitter.
func newSnapshot(creds signer.Credentials, now time.Time, r float64) *snapshot {
	s := &snapshot{creds: creds, trust: &trust{}}
	if creds.Expires.IsZero() {
		return s
	}
	now, expires := now.Round(0), creds.Expires.Round(0)
	life := expires.Sub(now)
	s.creds.Expires, s.life = expires, life
	s.advisory = now.Add(time.Duration(float64(life) * 2 / 3 * (1 - advisoryJitter + 2*advisoryJitter*r)))
	if latest := expires.Add(-advisoryMargin); life > longLife && s.advisory.After(latest) {
		s.advisory = latest
	}
	s.mandatory = expires.Add(-min(mandatoryWindow, life/mandatoryShare))
	return s
}

// pollAfter schedules the next fetch from a Poller. An interval of 0 changes nothing.
func (s *snapshot) pollAfter(interval time.Duration, now time.Time) *snapshot {
	if interval > 0 {
		s.advisory = now.Round(0).Add(interval)
		if expires := s.creds.Expires; !expires.IsZero() && expires.Before(s.advisory) {
			s.advisory = expires
		}
	}
	return s
}

// renewBeforeClients schedules the refresh before that of clients which got the credentials
// from here.
func (s *snapshot) renewBeforeClients(now time.Time, r float64) {
	if s.life > 0 {
		s.advisory = now.Round(0).Add(time.Duration(float64(s.life) / clientsShare * (1 - advisoryJitter + 2*advisoryJitter*r)))
	}
}

// inheritTrust takes over the trust of old if both have the same SecretID; old may be nil.
func (s *snapshot) inheritTrust(old *snapshot) *snapshot {
	if old != nil && old.creds.SecretID == s.creds.SecretID {
		s.trust = old.trust
	}
	return s
}

// fresh reports whether no refresh is due at now.
func (s *snapshot) fresh(now time.Time) bool {
	return s != nil && (s.advisory.IsZero() || now.Before(s.advisory))
}

// valid reports whether s has not expired at now.
func (s *snapshot) valid(now time.Time) bool {
	return s != nil && !s.creds.Expired(now)
}

// maxWait returns how long a request may wait at now for a fetch, counted from the start of
// the fetch, before it uses s.
func (s *snapshot) maxWait(now time.Time) time.Duration {
	if now.Before(s.mandatory) {
		return 0
	}
	return min(maxWaitLimit, s.creds.Expires.Sub(now)/maxWaitShare)
}

// backoff returns the pause after the n-th consecutive failure, n from 1, with the error
// err. s is the current snapshot; it may be nil or expired. r in [0,1) is the jitter.
//
// Full jitter spreads the clients of a recovering service best (AWS Architecture Blog,
// "Exponential Backoff And Jitter"). The pause ends at the expiry of s only if the source
// had no newer credentials: a metadata server or a file may change at the last moment. In
// other cases it must not, because the credentials of a fleet that started together expire
// together, and STS would receive all these calls at once.
//
// If the server asked for a delay, the pause is this delay and the usual jitter on top of it, or
// more; see requestedDelay.
//
// If the caller of a role has no credentials, STS was not called, and the caller has a pause
// of its own. Both pauses then end together: a role must not wait longer than its caller.
func backoff(err error, n int, s *snapshot, now time.Time, r float64) time.Duration {
	var caller *CallerError
	if errors.As(err, &caller) && caller.retryAfter > 0 {
		return max(minBackoff, caller.retryAfter)
	}
	base, maxPause := backoffBase, maxBackoff
	if s != nil && s.life > 0 {
		maxPause = min(maxPause, s.life/backoffLifeShare)
		maxPause = max(maxPause, min(maxRestBackoff, s.creds.Expires.Sub(now)/backoffRestShare))
	}
	minPause := minBackoff
	switch {
	case !retryable(err):
		base, maxPause, minPause = permanentBackoffBase, max(maxPause, maxBackoff), minPermanentBackoff
	case rateLimited(err):
		base, maxPause = rateLimitedBackoffBase, max(maxPause, maxRateLimitedBackoff)
	}
	step := min(maxPause, base<<min(n-1, 10)) // 2^10 s exceeds every maximum
	delay := requestedDelay(err, s, now)
	step = max(step, delay/retryAfterShare)
	pause := delay + max(minPause, time.Duration(r*float64(step)))
	if s.valid(now) && s.life > 0 && errors.Is(err, ErrNotRenewed) {
		pause = min(pause, s.creds.Expires.Sub(now))
	}
	return pause
}

// requestedDelay returns the delay that the server asked for with err, limited to maxRetryAfter;
// 0 if there is none. If s would expire before, it returns half of the remaining life: one more
// call is better than requests without credentials.
func requestedDelay(err error, s *snapshot, now time.Time) time.Duration {
	var failed *SourceError
	if !errors.As(err, &failed) {
		return 0
	}
	delay := min(failed.RetryAfter, maxRetryAfter)
	if s.valid(now) && s.life > 0 {
		if rest := s.creds.Expires.Sub(now); delay >= rest {
			delay = rest / 2
		}
	}
	return delay
}

// rateLimited reports whether the issuer rejected the call because of its quota.
func rateLimited(err error) bool {
	var failed *SourceError
	if !errors.As(err, &failed) {
		return false
	}
	class, _, _ := strings.Cut(failed.Code, ".")
	return class == "RequestLimitExceeded" || failed.Code == "HTTP 429"
}

// checkFetched returns an error that wraps ErrInvalidResponse if creds must not be cached.
func checkFetched(creds signer.Credentials, now time.Time) error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrInvalidResponse}, args...)...)
	}
	expires := creds.Expires.UTC().Format(time.RFC3339)
	switch {
	case creds.SecretID == "":
		return invalid("no SecretId")
	case creds.SecretKey == "":
		return invalid("no SecretKey")
	case creds.Expires.IsZero():
		return nil
	case creds.Token == "":
		return invalid("no session token, which credentials with an expiry need")
	case creds.Expired(now):
		return invalid("they expired at %s; this machine's clock says %s; check the clock", expires, now.UTC().Format(time.RFC3339))
	case creds.Expires.Sub(now) > maxLife:
		return invalid("they expire at %s, more than %v from now, which exceeds every temporary lifetime; check the clock", expires, maxLife)
	}
	return nil
}
