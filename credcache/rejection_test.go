package credcache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// rejectTwice reports that COS rejected AKID-n twice for a request, as the proxy does, and
// returns n of the credentials that the request gets instead; 0: none.
func rejectTwice(t *testing.T, p *credcache.Provider, n int) (next int) {
	t.Helper()
	id := fmt.Sprint("AKID-", n)
	if p.Invalidate(id, true) {
		t.Errorf("%s should be sent a third time", id)
	}
	creds, ok := p.Replacement(t.Context(), id)
	if !ok {
		return 0
	}
	if _, err := fmt.Sscanf(creds.SecretID, "AKID-%d", &next); err != nil || creds.SecretKey != secret {
		t.Errorf("the replacement is %v", creds)
	}
	return next
}

// repeating returns a source that always returns AKID-1.
func repeating(life time.Duration) *issuer {
	var once sync.Once
	var only signer.Credentials
	return &issuer{other: func(context.Context, int) (signer.Credentials, error) {
		once.Do(func() { only = temporary(1, life) })
		return only, nil
	}}
}

func wantReady(t *testing.T, c *credcache.Cache) {
	t.Helper()
	if s := c.Stats()[0]; !s.Ready {
		t.Errorf("not ready: %+v", s)
	}
}

func TestInvalidate_SourceHasOthers(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setDelay(2 * time.Second)
		start := time.Now()
		p.Invalidate("AKID-1", false)
		wantReady(t, c)
		wantCredentials(t, p, 1, 0) // other requests do not wait
		creds, ok := p.Replacement(t.Context(), "AKID-1")
		if waited := time.Since(start); !ok || creds.SecretID != "AKID-2" || waited != 2*time.Second {
			t.Errorf("got %v, %v after %v, want AKID-2 after 2 s", creds, ok, waited)
		}
		wantCredentials(t, p, 2, 0)
	})
}

func TestInvalidate_WithoutTraffic(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		p.Invalidate("AKID-1", false)
		synctest.Wait()
		if s := c.Stats()[0]; !s.Ready || s.SecretID != "AKID-2" {
			t.Errorf("got %+v, want AKID-2", s)
		}
	})
}

// Credentials that COS accepted recently are sent once more before others are fetched.
func TestInvalidate_RecentlyAccepted(t *testing.T) {
	const never = -1
	for _, tt := range []struct {
		name  string
		ago   time.Duration // since COS accepted the credentials
		again bool
		retry bool
		calls int
	}{
		{"just now", 0, false, true, 1},
		{"4.9 s ago", 4900 * time.Millisecond, false, true, 1},
		{"5 s ago", 5 * time.Second, false, false, 2},
		{"never", never, false, false, 2},
		{"rejected twice for one request", 0, true, false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &issuer{life: time.Hour}
			withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				wantCredentials(t, p, 1, 0)
				if tt.ago != never {
					p.Accepted("AKID-1")
					time.Sleep(tt.ago)
				}
				retry := p.Invalidate("AKID-1", tt.again)
				synctest.Wait()
				if n := src.count(); retry != tt.retry || n != tt.calls {
					t.Errorf("retry %v after %d calls, want %v after %d", retry, n, tt.retry, tt.calls)
				}
			})
		})
	}
}

// Requests that cannot be sent twice report revoked credentials too: two rejections in a row
// are sufficient.
func TestInvalidate_TwoRequestsInARow(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		for range 100 { // each one followed by an acceptance
			p.Accepted("AKID-1")
			if !p.Invalidate("AKID-1", false) {
				t.Fatal("not sent again")
			}
		}
		synctest.Wait()
		if n := src.count(); n != 1 {
			t.Fatalf("%d calls for single rejections, want the first alone", n)
		}
		if !p.Invalidate("AKID-1", false) {
			t.Error("the second request is not sent again")
		}
		synctest.Wait()
		wantCredentials(t, p, 2, 0)
	})
}

// An acceptance of older credentials does not count for the current ones.
func TestAccepted_OlderCredentials(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		p.Accepted("AKID-1") // there are no credentials yet
		wantCredentials(t, p, 1, 0)
		p.Accepted("AKID-1")
		if next := rejectTwice(t, p, 1); next != 2 {
			t.Fatalf("got AKID-%d, want AKID-2", next)
		}
		p.Accepted("AKID-1")
		if p.Invalidate("AKID-2", false) {
			t.Error("AKID-2 inherits the acceptance of AKID-1")
		}
	})
}

func TestInvalidate_TwoRevocationsASecondApart(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		for n := 1; n <= 2; n++ {
			if next := rejectTwice(t, p, n); next != n+1 {
				t.Errorf("for AKID-%d got AKID-%d", n, next)
			}
			p.Accepted(fmt.Sprint("AKID-", n+1))
			time.Sleep(time.Second)
		}
		wantCredentials(t, p, 3, 0)
	})
}

func TestInvalidate_SourceFailing(t *testing.T) {
	src := &issuer{life: 30 * time.Minute}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setError(errDown)
		time.Sleep(20*time.Minute + 100*time.Millisecond) // the refresh failed, 0.4 s are left
		for range 100 {
			if next := rejectTwice(t, p, 1); next != 0 {
				t.Errorf("got AKID-%d", next)
			}
		}
		if n := src.count(); n != 2 {
			t.Errorf("%d calls, want 2: reports must not cause calls of a failing source", n)
		}
		wantReady(t, c)
		wantCredentials(t, p, 1, 0)
		src.setError(nil)
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		wantCredentials(t, p, 3, 0)
	})
}

func TestInvalidate_OlderCredentials(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		p.Invalidate("AKID-1", true) // nothing is cached yet
		wantCredentials(t, p, 1, 0)
		if next := rejectTwice(t, p, 1); next != 2 {
			t.Errorf("got AKID-%d", next)
		}
		for range 100 {
			if next := rejectTwice(t, p, 1); next != 2 {
				t.Errorf("a late report gets AKID-%d", next)
			}
			p.Invalidate("", true)
		}
		wantCredentials(t, p, 2, 0)
		if n := src.count(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestInvalidate_ManyReports(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setDelay(time.Second)
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond) // some during the fetch, some after it
				if next := rejectTwice(t, p, 1); next != 2 {
					t.Errorf("got AKID-%d, want AKID-2", next)
				}
			})
		}
		wg.Wait()
		if n := src.count(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

// A report during a refresh waits for it.
func TestInvalidate_DuringRefresh(t *testing.T) {
	src, wall := &issuer{life: 30 * time.Minute}, &clock{}
	withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		p := sleeping(t, c, src, wall, 30*time.Second)
		src.setDelay(500 * time.Millisecond)
		src.setError(errDown)
		got := make(chan error)
		go func() { // waits in the mandatory window, with AKID-1 as fallback
			_, err := p.Credentials(t.Context())
			got <- err
		}()
		synctest.Wait()
		if next := rejectTwice(t, p, 1); next != 0 {
			t.Errorf("got AKID-%d", next)
		}
		if err := <-got; err != nil { // the credentials have not expired
			t.Errorf("got %v, want the credentials that have not expired", err)
		}
		wantReady(t, c)
	})
}

// If the source has no other credentials, rejections cost 5 calls and then one every 10 s.
func TestInvalidate_SourceReturnsSame(t *testing.T) {
	for name, life := range map[string]time.Duration{"no expiry": 0, "an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			src := repeating(life)
			withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				wantCredentials(t, p, 1, 0)
				for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
					if next := rejectTwice(t, p, 1); next != 1 && next != 0 {
						t.Fatalf("got AKID-%d", next)
					}
					wantReady(t, c)
					wantCredentials(t, p, 1, 0)
				}
				if s := c.Stats()[0]; s.Fetches != 1+5+5 || s.Failures != 0 || s.LastError != "" {
					t.Errorf("got %+v, want the first fetch, 5 at once and 5 more, and no failure", s)
				}
				if life == 0 {
					return
				}
				n := src.count()
				time.Sleep(40*time.Minute - time.Minute - time.Second)
				if src.count() != n {
					t.Error("fetched before the refresh is due")
				}
				time.Sleep(2 * time.Second)
				if src.count() == n {
					t.Error("no refresh")
				}
			})
		})
	}
}

// The retries end when a failing source recovers and returns the same credentials.
func TestInvalidate_SourceFailsThenReturnsSame(t *testing.T) {
	src := repeating(time.Hour)
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		same := src.other
		src.set(func(s *issuer) { s.other, s.err = nil, errDown })
		if next := rejectTwice(t, p, 1); next != 0 {
			t.Errorf("got AKID-%d", next)
		}
		time.Sleep(10 * time.Second)
		src.set(func(s *issuer) { s.other = same })
		time.Sleep(20 * time.Second)
		n := src.count()
		if s := c.Stats()[0]; !s.Ready || s.LastError != "" {
			t.Errorf("got %+v, want no error left", s)
		}
		time.Sleep(39 * time.Minute)
		if src.count() != n {
			t.Errorf("%d calls before the refresh is due", src.count()-n)
		}
		time.Sleep(time.Minute)
		if src.count() == n {
			t.Error("no refresh")
		}
	})
}

// Many rejections do not cause many calls.
func TestInvalidate_AllRejected(t *testing.T) {
	src := &issuer{life: time.Hour, delay: 50 * time.Millisecond}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
			creds, err := p.Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.Invalidate(creds.SecretID, false)
		}
		if n := src.count(); n != 1+5+5 {
			t.Errorf("%d calls in a minute, want the first, 5 at once and 5 more", n)
		}
	})
}

// logHook is a slog.Handler that calls itself for each message.
type logHook func(message string)

func (h logHook) Enabled(context.Context, slog.Level) bool { return true }
func (h logHook) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h logHook) WithGroup(string) slog.Handler            { return h }
func (h logHook) Handle(_ context.Context, r slog.Record) error {
	h(r.Message)
	return nil
}

// A rejection after the result of a fetch, but before the fetch has returned, starts another
// fetch. The cache logs at this moment.
func TestInvalidate_FetchReturning(t *testing.T) {
	src := &issuer{life: time.Hour}
	var p *credcache.Provider
	var n int
	hook := logHook(func(message string) {
		if message == "new credentials" {
			if n++; n == 2 {
				p.Invalidate("AKID-2", true)
			}
		}
	})
	withCache(t, src, credcache.Options{Logger: slog.New(hook)}, func(t *testing.T, c *credcache.Cache) {
		p = c.For(uploads)
		wantCredentials(t, p, 1, 0)
		p.Invalidate("AKID-1", true)
		time.Sleep(time.Second)
		synctest.Wait()
		wantCredentials(t, p, 3, 0)
		p.Invalidate("AKID-3", true) // the limit counts both rejections, and nothing is stuck
		synctest.Wait()
		wantCredentials(t, p, 4, 0)
	})
}

func TestReplacement_ContextEnds(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setDelay(hang)
		p.Invalidate("AKID-1", true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if creds, ok := p.Replacement(ctx, "AKID-1"); ok || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want none after 1 s", creds, time.Since(start))
		}
	})
}

// Rejected credentials are not used after their expiry.
func TestInvalidate_CredentialsExpire(t *testing.T) {
	src := &issuer{life: time.Minute}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setError(errDown)
		p.Invalidate("AKID-1", true)
		time.Sleep(time.Minute)
		if creds, err := p.Credentials(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("got %v, %v, want the failure of the source", creds, err)
		}
	})
}

func BenchmarkAccepted(b *testing.B) {
	c := credcache.New(&issuer{life: time.Hour}, credcache.Options{})
	defer c.Close()
	p := c.For(uploads)
	creds, err := p.Credentials(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.Accepted(creds.SecretID)
		}
	})
}
