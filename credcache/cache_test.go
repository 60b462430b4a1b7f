package credcache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// callConcurrently calls p.Credentials from n goroutines and counts the SecretIDs and errors.
func callConcurrently(t *testing.T, p *credcache.Provider, n int) map[string]int {
	got := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			creds, err := p.Credentials(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				got[err.Error()]++
			} else {
				got[creds.SecretID]++
			}
		})
	}
	wg.Wait()
	return got
}

func TestCredentials_ManyCallers(t *testing.T) {
	const callers = 10_000
	for _, tt := range []struct {
		name string
		jump time.Duration // of the clock, before the calls; the credentials live 30 min
		want map[string]int
	}{
		{"at the expiry", 30 * time.Minute, map[string]int{"AKID-2": callers}},
		{"in the mandatory window", 29*time.Minute + 30*time.Second, map[string]int{"AKID-2": callers}},
		{"after a missed advisory refresh", 21 * time.Minute, map[string]int{"AKID-1": callers}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, wall := &issuer{life: 30 * time.Minute}, &clock{}
			withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				wantCredentials(t, p, 1, 0)
				src.set(func(s *issuer) { s.life += tt.jump }) // the issuer's clock runs on
				src.setDelay(500 * time.Millisecond)
				wall.jump(tt.jump)
				got := callConcurrently(t, p, callers)
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("callers got %v, want %v", got, tt.want)
				}
				time.Sleep(time.Second)
				if n := src.count(); n != 2 {
					t.Errorf("%d fetches, want 2: the first one and one refresh", n)
				}
			})
		})
	}
}

func TestCredentials_ManyCallersColdStart(t *testing.T) {
	src := &issuer{life: 30 * time.Minute, delay: time.Second}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		if got := callConcurrently(t, c.For(uploads), 10_000); got["AKID-1"] != 10_000 {
			t.Errorf("callers got %v", got)
		}
		if n := src.count(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestCredentials_FreshDoesNotAllocate(t *testing.T) {
	c := credcache.New(&issuer{life: time.Hour}, credcache.Options{})
	defer c.Close()
	p := c.For(uploads)
	ctx := t.Context()
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := p.Credentials(ctx); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per call, want none", allocs)
	}
}

// With a monotonic reading, comparisons would use a clock that stops while the machine
// sleeps. Virtual time has no such reading, so this test runs in real time.
func TestCredentials_ExpiryHasNoMonotonicReading(t *testing.T) {
	c := credcache.New(&issuer{life: time.Hour}, credcache.Options{})
	defer c.Close()
	creds, err := c.For(uploads).Credentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if at := creds.Expires; at != at.Round(0) {
		t.Errorf("the expiry has a monotonic reading: %v", at)
	}
}

// A refresh that hangs must not cost other requests anything. Otherwise a busy proxy would
// accumulate waiters for ten seconds.
func TestCredentials_HangingRefreshDoesNotAllocate(t *testing.T) {
	src, wall := &issuer{life: time.Hour}, &clock{}
	c := credcache.New(src, credcache.Options{}.WithNow(wall.now))
	defer c.Close()
	p := c.For(uploads)
	wantSome := func() {
		if _, err := p.Credentials(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wantSome()
	begun := make(chan struct{})
	src.set(func(s *issuer) {
		s.other = func(ctx context.Context, _ int) (signer.Credentials, error) {
			close(begun)
			<-ctx.Done()
			return signer.Credentials{}, ctx.Err()
		}
	})
	wall.jump(50 * time.Minute)
	wantSome()
	<-begun
	if allocs := testing.AllocsPerRun(100, wantSome); allocs != 0 {
		t.Errorf("%v allocations per call, want none", allocs)
	}
}

// A request may read the credentials just before another fetch ends, and then ask for a
// fetch that is no longer needed. Here the clock makes the two reads differ.
func TestCredentials_NeedlessFetch(t *testing.T) {
	src := &issuer{life: 30 * time.Minute}
	var early atomic.Int64 // readings that are 25 min fast
	now := func() time.Time {
		if early.Add(-1) >= 0 {
			return time.Now().Add(25 * time.Minute)
		}
		return time.Now()
	}
	withCache(t, src, credcache.Options{}.WithNow(now), func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		early.Store(2) // one for the request, one for its second check
		wantCredentials(t, p, 1, 0)
		synctest.Wait()
		if n := src.count(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestFor_EqualScopes(t *testing.T) {
	with := func(change func(*credcache.Scope)) credcache.Scope {
		s := uploads
		change(&s)
		return s
	}
	base := with(func(s *credcache.Scope) {
		s.AllowPrefixes = []string{"a/*", "b/*"}
		s.AllowActions = []string{"name/cos:GetObject", "name/cos:PutObject"}
	})
	for _, tt := range []struct {
		name  string
		scope credcache.Scope
		same  bool
	}{
		{"order", credcache.Scope{Bucket: base.Bucket, Region: base.Region,
			AllowPrefixes: []string{"b/*", "a/*"}, AllowActions: []string{"name/cos:PutObject", "name/cos:GetObject"}}, true},
		{"duplicates", credcache.Scope{Bucket: base.Bucket, Region: base.Region,
			AllowPrefixes: []string{"a/*", "b/*", "a/*"}, AllowActions: slices.Concat(base.AllowActions, base.AllowActions)}, true},
		{"a prefix below another", credcache.Scope{Bucket: base.Bucket, Region: base.Region,
			AllowPrefixes: []string{"a/*", "b/*", "b/c/*", "a/x"}, AllowActions: base.AllowActions}, true},
		{"another bucket", credcache.Scope{Bucket: "other-1250000000", Region: base.Region,
			AllowPrefixes: base.AllowPrefixes, AllowActions: base.AllowActions}, false},
		{"another region", credcache.Scope{Bucket: base.Bucket, Region: "ap-shanghai",
			AllowPrefixes: base.AllowPrefixes, AllowActions: base.AllowActions}, false},
		{"another prefix", credcache.Scope{Bucket: base.Bucket, Region: base.Region,
			AllowPrefixes: []string{"a/*"}, AllowActions: base.AllowActions}, false},
		{"one prefix that reads like two", credcache.Scope{Bucket: base.Bucket, Region: base.Region,
			AllowPrefixes: []string{`a/*" "b/*`}, AllowActions: base.AllowActions}, false},
		{"another action", credcache.Scope{Bucket: base.Bucket, Region: base.Region,
			AllowPrefixes: base.AllowPrefixes, AllowActions: []string{"name/cos:GetObject"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &issuer{life: time.Hour}
			withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				first, err1 := c.For(base).Credentials(t.Context())
				second, err2 := c.For(tt.scope).Credentials(t.Context())
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				if same := first == second; same != tt.same {
					t.Errorf("the same credentials: %v, want %v", same, tt.same)
				}
			})
		})
	}
}

func TestFor_PresetAndItsActions(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		expanded, err := credcache.ExpandActions(uploads.AllowActions)
		if err != nil {
			t.Fatal(err)
		}
		spelled := uploads
		spelled.AllowActions = expanded
		if c.For(uploads) != c.For(spelled) {
			t.Error("two providers for one scope")
		}
	})
}

func TestCredentials_OtherScopeHangs(t *testing.T) {
	src := credcache.SourceFunc(func(ctx context.Context, scope credcache.Scope) (signer.Credentials, error) {
		if scope.Region == "ap-beijing" {
			<-ctx.Done()
			return signer.Credentials{}, ctx.Err()
		}
		return temporary(1, time.Hour), nil
	})
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		c.For(uploads).Warm()
		synctest.Wait()
		other := uploads
		other.Region = "ap-shanghai"
		wantCredentials(t, c.For(other), 1, 0)
	})
}

func TestCredentials_CallerCanceled(t *testing.T) {
	type note struct{}
	var seen any
	var deadline time.Duration
	src := &issuer{life: time.Hour, delay: 5 * time.Second, other: func(ctx context.Context, n int) (signer.Credentials, error) {
		seen = ctx.Value(note{})
		until, _ := ctx.Deadline()
		deadline = time.Until(until)
		return temporary(n, time.Hour), nil
	}}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), note{}, "trace"), time.Second)
		defer cancel()
		_, err := p.Credentials(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("the caller got %v after %v, want its own deadline after 1s", err, time.Since(start))
		}
		wantCredentials(t, p, 1, 4*time.Second)
		if n := src.count(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
		if seen != "trace" {
			t.Errorf("the source saw the context value %v, want that of the caller", seen)
		}
		if deadline != 5*time.Second {
			t.Errorf("5s into the fetch it has %v left, want the rest of its own 10s", deadline)
		}
	})
}

func TestCredentials_SourceTimeout(t *testing.T) {
	withCache(t, &issuer{delay: hang}, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		start := time.Now()
		_, err := c.For(uploads).Credentials(t.Context())
		if !errors.Is(err, credcache.ErrTimeout) || time.Since(start) != 10*time.Second {
			t.Errorf("got %v after %v, want ErrTimeout after 10s", err, time.Since(start))
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("the fetch's timeout looks like the end of the caller's context")
		}
	})
}

func TestWarm(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{Splay: 20 * time.Second}, func(t *testing.T, c *credcache.Cache) {
		start := time.Now()
		p := c.For(uploads)
		p.Warm()
		p.Warm()
		time.Sleep(10*time.Second - time.Nanosecond)
		if n := src.count(); n != 0 {
			t.Fatalf("%d fetches before the splay has passed, want none", n)
		}
		src.setError(errDown)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if c.Stats()[0].Ready {
			t.Error("ready without credentials")
		}
		src.setError(nil)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if s := c.Stats()[0]; !s.Ready || s.SecretID != "AKID-2" {
			t.Errorf("after the retry: %+v", s)
		}
		if got, want := src.offsets(start), []time.Duration{10 * time.Second, 10500 * time.Millisecond}; !slices.Equal(got, want) {
			t.Errorf("fetches at %v, want %v", got, want)
		}
		p.Warm() // has no effect now
		time.Sleep(39 * time.Minute)
		if n := src.count(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
		time.Sleep(61 * time.Second)
		if n := src.count(); n != 3 {
			t.Errorf("%d fetches, want 3: the advisory refresh after 40 min", n)
		}
	})
}

func TestWarm_RequestDuringSplay(t *testing.T) {
	src := &issuer{life: time.Hour}
	withCache(t, src, credcache.Options{Splay: time.Minute}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		p.Warm()
		wantCredentials(t, p, 1, 0)
		time.Sleep(2 * time.Minute)
		if n := src.count(); n != 1 {
			t.Errorf("%d fetches, want 1: the scheduled one is no longer needed", n)
		}
	})
}

func TestStats(t *testing.T) {
	src := &issuer{life: 30 * time.Minute}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		other := uploads
		other.Bucket = "another-1250000000"
		p := c.For(uploads)
		c.For(other)
		start := time.Now()
		wantCredentials(t, p, 1, 0)
		src.setError(errDown)
		time.Sleep(20*time.Minute + 100*time.Millisecond)
		synctest.Wait()

		stats := c.Stats()
		if len(stats) != 2 || stats[0].Scope.Bucket != other.Bucket {
			t.Fatalf("got %+v, want two scopes in order", stats)
		}
		if s := stats[0]; s.Ready || s.SecretID != "" || s.Fetches != 0 {
			t.Errorf("an unused scope: %+v", s)
		}
		s := stats[1]
		if !s.Ready || s.SecretID != "AKID-1" || !s.Expires.Equal(start.Add(30*time.Minute)) {
			t.Errorf("the credentials are not shown: %+v", s)
		}
		if s.Fetches != 2 || s.Failures != 1 || s.LastError != errDown.Error() {
			t.Errorf("the failed refresh is not shown: %+v", s)
		}
		time.Sleep(10 * time.Minute)
		if c.Stats()[1].Ready {
			t.Error("ready with expired credentials")
		}
		src.setError(nil)
		time.Sleep(time.Minute)
		if s := c.Stats()[1]; !s.Ready || s.LastError != "" {
			t.Errorf("after the recovery: %+v", s)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{life: 30 * time.Minute}
		var reads atomic.Int64 // of the clock
		c := credcache.New(src, credcache.Options{}.WithNow(func() time.Time { reads.Add(1); return time.Now() }))
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		waiting := uploads
		waiting.Region = "ap-shanghai"
		src.setDelay(hang)
		failed := make(chan error)
		go func() {
			_, err := c.For(waiting).Credentials(t.Context())
			failed <- err
		}()
		synctest.Wait()

		start := time.Now()
		go c.Close()
		if err := <-failed; !errors.Is(err, credcache.ErrClosed) || time.Since(start) != 0 {
			t.Errorf("a waiting caller got %v after %v, want ErrClosed at once", err, time.Since(start))
		}
		c.Close() // twice is once
		wantCredentials(t, p, 1, 0)
		before := reads.Load()
		time.Sleep(24 * time.Hour)
		if n := src.count(); n != 2 {
			t.Errorf("%d fetches, want none after Close", n-2)
		}
		if n := reads.Load() - before; n != 0 {
			t.Errorf("the clock was read %d times after Close: a timer is left", n)
		}
		wantUnavailable(t, p, credcache.ErrClosed, 0)
		p.Invalidate("AKID-1", false)
		p.Warm()
		wantUnavailable(t, c.For(waiting), credcache.ErrClosed, 0)
	})
}

func TestClose_WaitsForSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		c := credcache.New(credcache.SourceFunc(func(ctx context.Context, _ credcache.Scope) (signer.Credentials, error) {
			<-ctx.Done()
			time.Sleep(3 * time.Second) // a slow end
			ended = true
			return temporary(1, time.Hour), nil
		}), credcache.Options{})
		p := c.For(uploads)
		p.Warm()
		synctest.Wait()
		c.Close()
		if !ended {
			t.Error("Close returned before the source")
		}
		wantUnavailable(t, p, credcache.ErrClosed, 0) // late credentials are dropped
	})
}

func BenchmarkCredentials(b *testing.B) {
	c := credcache.New(&issuer{life: time.Hour}, credcache.Options{})
	defer c.Close()
	p := c.For(uploads)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Credentials(b.Context()); err != nil {
				b.Error(err)
			}
		}
	})
}
