package credcache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is part of every SecretKey and Token of these tests, so that leaks can be found.
const secret = "TOP-SECRET-9f2c"

var uploads = credcache.Scope{
	Bucket:        "examplebucket-1250000000",
	Region:        "ap-beijing",
	AllowPrefixes: []string{"uploads/*"},
	AllowActions:  []string{"upload"},
}

// issuer is a Source that issues the credentials AKID-1, AKID-2, … and can fail, be slow or do
// anything else.
type issuer struct {
	life time.Duration // zero: no expiry

	mu    sync.Mutex
	calls []time.Time
	delay time.Duration
	err   error
	other func(ctx context.Context, n int) (signer.Credentials, error)
}

func (s *issuer) Fetch(ctx context.Context, _ credcache.Scope) (signer.Credentials, error) {
	s.mu.Lock()
	s.calls = append(s.calls, time.Now())
	n, delay, err, other := len(s.calls), s.delay, s.err, s.other
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return signer.Credentials{}, ctx.Err()
	}
	switch {
	case other != nil:
		return other(ctx, n)
	case err != nil:
		return signer.Credentials{}, err
	}
	return temporary(n, s.life), nil
}

func temporary(n int, life time.Duration) signer.Credentials {
	creds := signer.Credentials{SecretID: fmt.Sprintf("AKID-%d", n), SecretKey: secret, Token: secret}
	if life != 0 {
		creds.Expires = time.Now().Add(life)
	}
	return creds
}

func (s *issuer) set(change func(*issuer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *issuer) setError(err error) { s.set(func(s *issuer) { s.err = err }) }

func (s *issuer) setDelay(d time.Duration) { s.set(func(s *issuer) { s.delay = d }) }

// offsets returns the times of the calls, relative to start.
func (s *issuer) offsets(start time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]time.Duration, len(s.calls))
	for i, at := range s.calls {
		all[i] = at.Sub(start)
	}
	return all
}

func (s *issuer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// hang is a delay beyond every timeout.
const hang = 1000 * time.Hour

// withCache runs test in virtual time with a cache over src, and closes the cache.
func withCache(t *testing.T, src credcache.Source, opts credcache.Options, test func(t *testing.T, c *credcache.Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if !opts.HasRand() {
			opts = opts.WithRand(func() float64 { return 0.5 }) // no jitter
		}
		c := credcache.New(src, opts)
		defer c.Close()
		test(t, c)
	})
}

// clock is a wall clock that can jump, as after the sleep of a machine.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

func (c *clock) jump(d time.Duration) { c.offset.Add(int64(d)) }

// wantCredentials fails the test unless p returns AKID-n after exactly d of virtual time.
func wantCredentials(t *testing.T, p *credcache.Provider, n int, d time.Duration) {
	t.Helper()
	start := time.Now()
	creds, err := p.Credentials(t.Context())
	if err != nil {
		t.Fatalf("Credentials: %v", err)
	}
	if want := fmt.Sprintf("AKID-%d", n); creds.SecretID != want {
		t.Errorf("got %s, want %s", creds.SecretID, want)
	}
	if waited := time.Since(start); waited != d {
		t.Errorf("waited %v for the credentials, want %v", waited, d)
	}
}

// wantUnavailable fails the test unless p returns at once an UnavailableError that wraps cause
// and has this pause until the next attempt.
func wantUnavailable(t *testing.T, p *credcache.Provider, cause error, pause time.Duration) {
	t.Helper()
	start := time.Now()
	creds, err := p.Credentials(t.Context())
	var unavailable *credcache.UnavailableError
	if !errors.As(err, &unavailable) {
		t.Fatalf("got %v and error %v, want an UnavailableError", creds, err)
	}
	if !errors.Is(err, cause) {
		t.Errorf("got the error %v, want one that wraps %v", err, cause)
	}
	if got := unavailable.RetryAfter(); got != pause {
		t.Errorf("RetryAfter is %v, want %v", got, pause)
	}
	if waited := time.Since(start); waited != 0 {
		t.Errorf("waited %v for the error, want none", waited)
	}
}

var errDown = errors.New("connection refused")

// wantProblem fails the test unless err is one OptionError in field. An empty field means no
// error.
func wantProblem(t *testing.T, err error, field string) {
	t.Helper()
	got := problems(t, err)
	if field == "" && err == nil {
		return
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], field+": ") {
		t.Errorf("got %q, want one problem in %q", got, field)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("the error has a secret: %v", err)
	}
}
