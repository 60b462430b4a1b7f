package credcache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

const (
	lowest  = 0.0
	middle  = 0.5
	highest = 1 - 1.0/(1<<53)
)

func draw(r float64) func() float64 { return func() float64 { return r } }

func TestCredentials_AdvisoryRefresh(t *testing.T) {
	for _, tt := range []struct {
		life time.Duration
		r    float64
		want time.Duration // of the second fetch, to the second
	}{
		{30 * time.Minute, middle, 20 * time.Minute},
		{30 * time.Minute, lowest, 18 * time.Minute},
		{30 * time.Minute, highest, 22 * time.Minute},
		{2 * time.Hour, middle, 80 * time.Minute},
		{36 * time.Hour, middle, 24 * time.Hour},
		{16 * time.Minute, highest, 11 * time.Minute}, // 5 min before the expiry, not 11:44
		{15 * time.Minute, highest, 11 * time.Minute}, // 2/3 + 10 %: a short lifetime
		{9 * time.Minute, middle, 6 * time.Minute},
		{5 * time.Minute, middle, 200 * time.Second},
		{90 * time.Second, middle, time.Minute},
	} {
		t.Run(fmt.Sprint(tt.life, tt.r), func(t *testing.T) {
			src := &issuer{life: tt.life}
			withCache(t, src, credcache.Options{}.WithRand(draw(tt.r)), func(t *testing.T, c *credcache.Cache) {
				start := time.Now()
				p := c.For(uploads)
				wantCredentials(t, p, 1, 0)
				time.Sleep(tt.want - time.Second)
				wantCredentials(t, p, 1, 0)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				wantCredentials(t, p, 2, 0)
				if got := src.offsets(start)[1].Round(time.Second); got != tt.want {
					t.Errorf("refreshed after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestCache_IdleScope(t *testing.T) {
	src := &issuer{life: 30 * time.Minute}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		c.For(uploads).Warm()
		for range 24 * 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if s := c.Stats()[0]; !s.Ready || time.Until(s.Expires) < 5*time.Minute {
				t.Fatalf("not ready, or less than 5 min left: %+v", s)
			}
		}
		if n, want := src.count(), 24*3+1; n != want {
			t.Errorf("%d fetches in a day, want %d", n, want)
		}
	})
}

func TestCredentials_RotationUnderLoad(t *testing.T) {
	src := &issuer{life: 5 * time.Second, delay: 200 * time.Millisecond}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 200*time.Millisecond)
		for range 30 * 100 {
			time.Sleep(10 * time.Millisecond)
			start := time.Now()
			creds, err := p.Credentials(t.Context())
			if err != nil || creds.Expired(time.Now()) || time.Since(start) != 0 {
				t.Fatalf("got %v, %v after %v", creds, err, time.Since(start))
			}
		}
		// Each round is 2/3 of 5 s, and 200 ms for the fetch.
		if n := src.count(); n != 9 {
			t.Errorf("%d fetches in 30 s, want 9", n)
		}
	})
}

// sleeping returns a Provider whose machine slept through the refresh: by the wall clock its
// credentials have left of their 30 min, and no timer has fired.
func sleeping(t *testing.T, c *credcache.Cache, src *issuer, wall *clock, left time.Duration) *credcache.Provider {
	t.Helper()
	p := c.For(uploads)
	wantCredentials(t, p, 1, 0)
	wall.jump(30*time.Minute - left)
	src.set(func(s *issuer) { s.life += 30*time.Minute - left })
	return p
}

func TestCredentials_MandatoryRefresh(t *testing.T) {
	const life = 30 * time.Minute
	for _, tt := range []struct {
		name  string
		left  time.Duration // of the old credentials' lifetime
		delay time.Duration // of the source
		err   error
		want  int           // n of the AKID-n that the first request gets
		wait  time.Duration // of the first request
	}{
		{"a quick source: the new credentials", 30 * time.Second, 300 * time.Millisecond, nil, 2, 300 * time.Millisecond},
		{"a slow source: the old credentials after 1 s", 30 * time.Second, 3 * time.Second, nil, 1, time.Second},
		{"a hanging source: the old credentials after 1 s", 30 * time.Second, hang, nil, 1, time.Second},
		{"close to the expiry: a quarter of the remaining lifetime", 2 * time.Second, hang, nil, 1, 500 * time.Millisecond},
		{"a failing source: the old credentials after the failure", 30 * time.Second, 300 * time.Millisecond, errDown, 1, 300 * time.Millisecond},
		{"outside the window: no wait", 61 * time.Second, hang, nil, 1, 0},
		{"the start of the window", 60 * time.Second, hang, nil, 1, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, wall := &issuer{life: life}, &clock{}
			withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
				p := sleeping(t, c, src, wall, tt.left)
				src.setDelay(tt.delay)
				src.setError(tt.err)
				wantCredentials(t, p, tt.want, tt.wait)
				wantCredentials(t, p, tt.want, 0) // only the first request waits
			})
		})
	}
}

func TestCredentials_MandatoryRefreshOfShortLife(t *testing.T) {
	src := &issuer{life: 10 * time.Second}
	wall := &clock{}
	withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setDelay(100 * time.Millisecond)
		wall.jump(8*time.Second - 1) // slightly more than a fifth of the lifetime is left
		wantCredentials(t, p, 1, 0)
		time.Sleep(time.Second)
		wantCredentials(t, p, 2, 0)
	})
}

func TestCredentials_MandatoryRefreshSharesWait(t *testing.T) {
	src, wall := &issuer{life: 30 * time.Minute}, &clock{}
	withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		p := sleeping(t, c, src, wall, 30*time.Second)
		src.setDelay(hang)
		go func() { _, _ = p.Credentials(t.Context()) }()
		time.Sleep(600 * time.Millisecond)
		// The wait counts from the start of the fetch, not from the request.
		wantCredentials(t, p, 1, 400*time.Millisecond)
	})
}

func TestCredentials_NoWaitAfterFailure(t *testing.T) {
	src, wall := &issuer{life: 30 * time.Minute}, &clock{}
	withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		p := sleeping(t, c, src, wall, 30*time.Second)
		src.setError(errDown)
		wantCredentials(t, p, 1, 0)
		src.setDelay(hang)
		for range 28 {
			time.Sleep(time.Second) // the retries start and hang meanwhile
			wantCredentials(t, p, 1, 0)
		}
	})
}

func TestCredentials_ClockSetBackDuringWait(t *testing.T) {
	src, wall := &issuer{life: 30 * time.Minute}, &clock{}
	withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		p := sleeping(t, c, src, wall, 10*time.Second)
		src.setDelay(hang)
		go func() { _, _ = p.Credentials(t.Context()) }()
		time.Sleep(100 * time.Millisecond)
		wall.jump(-20 * time.Second)
		wantCredentials(t, p, 1, 900*time.Millisecond)
	})
}

func TestCredentials_RefreshFails(t *testing.T) {
	for name, cause := range map[string]error{
		"retryable": errDown,
		"permanent": &credcache.SourceError{Source: "sts", Code: "AuthFailure.SecretIdNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			src := &issuer{life: 30 * time.Minute}
			withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				start := time.Now()
				wantCredentials(t, p, 1, 0)
				src.setError(cause)
				for time.Since(start) < 30*time.Minute {
					wantCredentials(t, p, 1, 0)
					time.Sleep(time.Second)
				}
				_, err := p.Credentials(t.Context())
				if !errors.Is(err, cause) {
					t.Errorf("at the expiry: %v, want %v", err, cause)
				}
			})
		})
	}
}

func TestCredentials_RecoveryAfterOutage(t *testing.T) {
	src := &issuer{life: 30 * time.Minute}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setError(errDown)
		time.Sleep(25 * time.Minute)
		wantCredentials(t, p, 1, 0)
		src.setError(nil)
		before := src.count()
		time.Sleep(time.Minute)
		wantCredentials(t, p, before+1, 0)
	})
}

func TestCache_Backoff(t *testing.T) {
	s := func(all ...float64) (d []time.Duration) {
		for _, f := range all {
			d = append(d, time.Duration(f*float64(time.Second)))
		}
		return d
	}
	for _, tt := range []struct {
		name string
		r    float64
		want []time.Duration // of the calls, to the millisecond
	}{
		{"doubling to 60 s", highest, s(0, 1, 3, 7, 15, 31, 63, 123, 183)},
		{"half of it with average jitter", middle, s(0, .5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5)},
		{"no busy loop", lowest, s(0, .1, .2, .3, .4)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &issuer{err: errDown}
			withCache(t, src, credcache.Options{}.WithRand(draw(tt.r)), func(t *testing.T, c *credcache.Cache) {
				start := time.Now()
				c.For(uploads).Warm()
				time.Sleep(tt.want[len(tt.want)-1] + time.Millisecond)
				got := src.offsets(start)
				for i := range got {
					got[i] = got[i].Round(time.Millisecond)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("calls at %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestCache_BackoffEndsWithSuccess(t *testing.T) {
	src := &issuer{err: errDown}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		p.Warm()
		time.Sleep(time.Minute)
		src.set(func(s *issuer) { s.err, s.life = nil, 10*time.Hour })
		time.Sleep(time.Minute)
		n := src.count()
		wantCredentials(t, p, n, 0)
		src.setError(errDown)
		p.Invalidate(fmt.Sprintf("AKID-%d", n), false)
		synctest.Wait()
		calls := src.count()
		time.Sleep(500*time.Millisecond - 1) // the first step of the backoff
		if got := src.count(); got != calls {
			t.Errorf("%d calls before the first step has ended", got-calls)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := src.count(); got != calls+1 {
			t.Errorf("%d calls after the first step, want 1", got-calls)
		}
	})
}

func TestCredentials_DuringBackoff(t *testing.T) {
	src := &issuer{err: errDown}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		for range 300 {
			if got := callConcurrently(t, p, 20); got["AKID-1"] != 0 {
				t.Fatalf("got credentials: %v", got)
			}
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		// The steps end after 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
		if n := src.count(); n != 6 {
			t.Errorf("%d calls in 30 s, want 6: the first and one for each step", n)
		}
		wantUnavailable(t, p, errDown, 1500*time.Millisecond)
	})
}

func TestCredentials_PermanentError(t *testing.T) {
	refused := &credcache.SourceError{Source: "sts", Code: "AuthFailure.SecretIdNotFound", Message: "no such id"}
	src := &issuer{err: fmt.Errorf("wrapped: %w", refused)}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		for i, pause := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
			callConcurrently(t, p, 100)
			time.Sleep(pause - time.Second)
			callConcurrently(t, p, 100)
			wantUnavailable(t, p, refused, time.Second)
			if n := src.count(); n != i+1 {
				t.Errorf("%d calls within the pause of %v, want %d", n, pause, i+1)
			}
			if i == 2 {
				src.setError(nil) // an operator enabled the SecretId
			}
			time.Sleep(time.Second)
		}
		wantCredentials(t, p, 4, 0)
	})
}

func TestCache_PermanentErrorWithoutTraffic(t *testing.T) {
	src := &issuer{err: &credcache.SourceError{Source: "sts"}}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		start := time.Now()
		c.For(uploads).Warm()
		time.Sleep(66 * time.Second)
		if got, want := src.offsets(start), []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second, 65 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("calls at %v, want %v", got, want)
		}
	})
}

func TestCredentials_MachineSlept(t *testing.T) {
	t.Run("past the expiry: a request waits for new credentials", func(t *testing.T) {
		src, wall := &issuer{life: 30 * time.Minute}, &clock{}
		withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
			p := sleeping(t, c, src, wall, -time.Hour)
			if c.Stats()[0].Ready {
				t.Error("ready with credentials that expired during the sleep")
			}
			src.setDelay(5 * time.Second)
			wantCredentials(t, p, 2, 5*time.Second)
		})
	})
	t.Run("past the advisory refresh: the first request starts it", func(t *testing.T) {
		src, wall := &issuer{life: 30 * time.Minute}, &clock{}
		withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
			p := sleeping(t, c, src, wall, 5*time.Minute)
			wantCredentials(t, p, 1, 0)
			synctest.Wait()
			wantCredentials(t, p, 2, 0)
		})
	})
	t.Run("without traffic: ready again within a minute", func(t *testing.T) {
		src, wall := &issuer{life: 30 * time.Minute}, &clock{}
		withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
			sleeping(t, c, src, wall, -time.Hour)
			time.Sleep(time.Minute)
			synctest.Wait()
			if s := c.Stats()[0]; !s.Ready || s.SecretID != "AKID-2" {
				t.Errorf("a minute after the wake-up: %+v", s)
			}
		})
	})
}

func TestCredentials_InvalidResponse(t *testing.T) {
	good := func() signer.Credentials { return temporary(7, time.Hour) }
	for _, tt := range []struct {
		name   string
		change func(*signer.Credentials)
		says   string
	}{
		{"nothing", func(c *signer.Credentials) { *c = signer.Credentials{} }, "no SecretId"},
		{"no SecretId", func(c *signer.Credentials) { c.SecretID = "" }, "no SecretId"},
		{"no SecretKey", func(c *signer.Credentials) { c.SecretKey = "" }, "no SecretKey"},
		{"no token", func(c *signer.Credentials) { c.Token = "" }, "session token"},
		{"expired", func(c *signer.Credentials) { c.Expires = time.Now().Add(-time.Second) }, "check the clock"},
		{"expires now", func(c *signer.Credentials) { c.Expires = time.Now() }, "check the clock"},
		{"milliseconds read as seconds", func(c *signer.Credentials) { c.Expires = time.Unix(c.Expires.UnixMilli(), 0) }, "48h"},
		{"beyond the maximum lifetime", func(c *signer.Credentials) { c.Expires = time.Now().Add(48*time.Hour + 1) }, "48h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &issuer{other: func(context.Context, int) (signer.Credentials, error) {
				creds := good()
				tt.change(&creds)
				return creds, nil
			}}
			withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				wantUnavailable(t, p, credcache.ErrInvalidResponse, 500*time.Millisecond)
				_, err := p.Credentials(t.Context())
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want one that says %q", err, tt.says)
				}
				src.set(func(s *issuer) { s.other, s.life = nil, time.Hour })
				time.Sleep(time.Second)
				wantCredentials(t, p, 2, 0)
			})
		})
	}
}

func TestCredentials_MaxLife(t *testing.T) {
	withCache(t, &issuer{life: 36 * time.Hour}, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		wantCredentials(t, c.For(uploads), 1, 0)
	})
}

func TestCredentials_NotRenewed(t *testing.T) {
	// Like a metadata server: the same credentials until shortly before their expiry.
	var old signer.Credentials
	src := &issuer{other: func(context.Context, int) (signer.Credentials, error) {
		if !old.Expired(time.Now().Add(2 * time.Minute)) {
			return old, nil
		}
		return temporary(2, 30*time.Minute), nil
	}}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		old = temporary(1, 30*time.Minute)
		p := c.For(uploads)
		for range 28 * 60 {
			wantCredentials(t, p, 1, 0)
			time.Sleep(time.Second)
		}
		// From minute 20 on the pauses double from 0.5 s to 30 s. They do not shrink with the
		// remaining lifetime.
		if n := src.count(); n > 25 {
			t.Errorf("%d calls, want one for each backoff step", n)
		}
		if s := c.Stats()[0]; !strings.Contains(s.LastError, credcache.ErrNotRenewed.Error()) {
			t.Errorf("Stats do not say that the source has no newer credentials: %+v", s)
		}
		time.Sleep(time.Minute)
		wantCredentials(t, p, 2, 0)
	})
}
