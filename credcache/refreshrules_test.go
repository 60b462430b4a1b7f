package credcache

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cosproxy/signer"
)

var ruleTime = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// expiring returns credentials that expire after life; 0: never.
func expiring(life time.Duration) signer.Credentials {
	creds := signer.Credentials{SecretID: "AKID-1", SecretKey: "K", Token: "T"}
	if life != 0 {
		creds.Expires = ruleTime.Add(life)
	}
	return creds
}

func TestNewSnapshot_Schedule(t *testing.T) {
	const almost1 = 1 - 1.0/(1<<53)
	for _, tt := range []struct {
		life                time.Duration
		r                   float64
		advisory, mandatory time.Duration // after the fetch, to the second; 0: never
	}{
		{0, 0.5, 0, 0},
		{30 * time.Minute, 0, 18 * time.Minute, 29 * time.Minute},
		{30 * time.Minute, 0.5, 20 * time.Minute, 29 * time.Minute},
		{30 * time.Minute, almost1, 22 * time.Minute, 29 * time.Minute},
		{16 * time.Minute, almost1, 11 * time.Minute, 15 * time.Minute}, // 5 min before the expiry
		{15 * time.Minute, almost1, 11 * time.Minute, 14 * time.Minute}, // a short lifetime: 2/3 + 10 %
		{100 * time.Second, 0.5, 67 * time.Second, 80 * time.Second},    // 1/5 of the lifetime
		{36 * time.Hour, 0.5, 24 * time.Hour, 36*time.Hour - time.Minute},
	} {
		s := newSnapshot(expiring(tt.life), ruleTime, tt.r)
		for name, got := range map[string]struct {
			at   time.Time
			want time.Duration
		}{"advisory": {s.advisory, tt.advisory}, "mandatory": {s.mandatory, tt.mandatory}} {
			if got.at.IsZero() != (got.want == 0) || !got.at.IsZero() && got.at.Sub(ruleTime).Round(time.Second) != got.want {
				t.Errorf("life %v, r %v: %s at %v, want after %v", tt.life, tt.r, name, got.at, got.want)
			}
		}
	}
}

func TestSnapshot_PollAfter(t *testing.T) {
	for _, tt := range []struct{ life, interval, want time.Duration }{
		{0, time.Minute, time.Minute},
		{24 * time.Hour, time.Minute, time.Minute},
		{30 * time.Second, time.Minute, 30 * time.Second}, // the expiry comes first
		{30 * time.Minute, 0, 20 * time.Minute},           // not a Poller
	} {
		s := newSnapshot(expiring(tt.life), ruleTime, 0.5).pollAfter(tt.interval, ruleTime)
		if got := s.advisory.Sub(ruleTime); got != tt.want {
			t.Errorf("life %v, interval %v: next fetch after %v, want %v", tt.life, tt.interval, got, tt.want)
		}
	}
}

func TestSnapshot_MaxWait(t *testing.T) {
	for _, tt := range []struct{ life, at, want time.Duration }{
		{0, time.Hour, 0}, // no expiry
		{30 * time.Minute, 29*time.Minute - 1, 0},
		{30 * time.Minute, 29 * time.Minute, time.Second},
		{30 * time.Minute, 30*time.Minute - 2*time.Second, 500 * time.Millisecond}, // 1/4 of the remaining lifetime
		{10 * time.Second, 8 * time.Second, 500 * time.Millisecond},
	} {
		s := newSnapshot(expiring(tt.life), ruleTime, 0.5)
		if tt.life == 0 {
			if !s.fresh(ruleTime.Add(tt.at)) {
				t.Error("credentials without expiry need a refresh")
			}
			continue // maxWait is called only if a refresh is due
		}
		if got := s.maxWait(ruleTime.Add(tt.at)); got != tt.want {
			t.Errorf("life %v, after %v: wait %v, want %v", tt.life, tt.at, got, tt.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	transient := errors.New("connection refused")
	permanent := &SourceError{Code: "AuthFailure.SecretIdNotFound"}
	limited := &SourceError{Code: "RequestLimitExceeded.UinLimitExceeded", Retryable: true}
	asks := func(delay time.Duration) error {
		return fmt.Errorf("wrapped: %w", &SourceError{Code: "HTTP 503", Retryable: true, RetryAfter: delay})
	}
	notRenewed := fmt.Errorf("%w: AKID-1", ErrNotRenewed)
	for _, tt := range []struct {
		name string
		err  error
		n    int
		life time.Duration // of the current credentials; 0: none
		at   time.Duration // since their fetch
		r    float64
		want time.Duration
	}{
		{"first", transient, 1, 0, 0, 1, time.Second},
		{"third", transient, 3, 0, 0, 1, 4 * time.Second},
		{"maximum", transient, 7, 0, 0, 1, time.Minute},
		{"many", transient, 1000, 0, 0, 1, time.Minute},
		{"jitter", transient, 3, 0, 0, 0.25, time.Second},
		{"minimum", transient, 1, 0, 0, 0, 100 * time.Millisecond},
		{"a tenth of a short lifetime", transient, 10, time.Minute, time.Minute, 1, 6 * time.Second},
		{"a fifth of the remaining lifetime", transient, 20, time.Hour, 40 * time.Minute, 1, 4 * time.Minute},
		{"maximum with valid credentials", transient, 20, 10 * time.Hour, time.Hour, 1, 5 * time.Minute},
		{"permanent, first", permanent, 1, 0, 0, 1, 10 * time.Second},
		{"permanent, minimum", permanent, 1, 0, 0, 0, 5 * time.Second},
		{"permanent, maximum", permanent, 10, 0, 0, 1, time.Minute},
		{"rate limited, first", limited, 1, 0, 0, 1, 8 * time.Second},
		{"rate limited, maximum", limited, 10, 0, 0, 1, 2 * time.Minute},
		{"not renewed: until the expiry at most", notRenewed, 10, 30 * time.Minute, 30*time.Minute - 7*time.Second, 1, 7 * time.Second},
		{"the caller's pause", &CallerError{Err: permanent, retryAfter: 17 * time.Second}, 10, 30 * time.Minute, 25 * time.Minute, 1, 17 * time.Second},
		{"the caller's pause is over", &CallerError{Err: limited, retryAfter: 1}, 1, 0, 0, 1, 100 * time.Millisecond},
		{"the caller's pause is unknown", &CallerError{Err: transient}, 3, 0, 0, 1, 4 * time.Second},
		{"Retry-After, no jitter", asks(20 * time.Second), 1, 0, 0, 0, 20*time.Second + minBackoff},
		{"Retry-After, jitter of half of it", asks(20 * time.Second), 1, 0, 0, 1, 30 * time.Second},
		{"Retry-After, usual jitter", asks(20 * time.Second), 10, 0, 0, 1, 80 * time.Second},
		{"Retry-After, maximum", asks(time.Hour), 1, 0, 0, 0, 5*time.Minute + minBackoff},
		{"Retry-After, before the expiry", asks(4 * time.Minute), 1, 30 * time.Minute, 25 * time.Minute, 0, 4*time.Minute + minBackoff},
		{"Retry-After, at the expiry", asks(4 * time.Minute), 1, 30 * time.Minute, 26 * time.Minute, 0, 2*time.Minute + minBackoff},
		{"Retry-After, after the expiry", asks(4 * time.Minute), 1, 30 * time.Minute, 31 * time.Minute, 0, 4*time.Minute + minBackoff},
		{"transient: beyond the expiry", transient, 10, 30 * time.Minute, 30*time.Minute - 7*time.Second, 1, time.Minute},
	} {
		var s *snapshot
		if tt.life > 0 {
			s = newSnapshot(expiring(tt.life), ruleTime, 0.5)
		}
		if got := backoff(tt.err, tt.n, s, ruleTime.Add(tt.at), tt.r); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestRateLimited(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&SourceError{Code: "RequestLimitExceeded"}, true},
		{fmt.Errorf("wrapped: %w", &SourceError{Code: "RequestLimitExceeded.UinLimitExceeded"}), true},
		{&SourceError{Code: "HTTP 429"}, true},
		{&SourceError{Code: "HTTP 503"}, false},
		{errors.New("RequestLimitExceeded"), false},
		{nil, false},
	} {
		if got := rateLimited(tt.err); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestRejectionBucket_Take(t *testing.T) {
	var b rejectionBucket
	for i, tt := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true}, {0, true}, {0, true}, {0, true}, {0, true}, {0, false},
		{9 * time.Second, false}, {10 * time.Second, true}, {10 * time.Second, false},
		{30 * time.Second, true}, {30 * time.Second, true}, {30 * time.Second, false},
		{time.Hour, true},
	} {
		if got := b.take(ruleTime.Add(tt.at)); got != tt.want {
			t.Errorf("call %d at %v: %v, want %v", i, tt.at, got, tt.want)
		}
	}
}

func TestTrust_Recent(t *testing.T) {
	var tr trust
	if tr.recent(time.Second) {
		t.Error("recent without an acceptance")
	}
	tr.accept(time.Minute)
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{{time.Minute, true}, {time.Minute + 5*time.Second - 1, true}, {time.Minute + 5*time.Second, false}} {
		if got := tr.recent(tt.at); got != tt.want {
			t.Errorf("at %v: %v, want %v", tt.at, got, tt.want)
		}
	}
}
