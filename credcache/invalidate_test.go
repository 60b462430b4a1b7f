package credcache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func TestInvalidate(t *testing.T) {
	src := &issuer{life: time.Hour}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		src.takes(2 * time.Second)
		p.Invalidate("AKID-1")
		if s := c.Stats()[0]; s.Ready || s.SecretID != "" {
			t.Errorf("the refused key is still there: %+v", s)
		}
		wantKey(t, p, 2, 2*time.Second)
	})
}

func TestInvalidateFetchesWithoutTraffic(t *testing.T) {
	src := &issuer{life: time.Hour}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		p.Invalidate("AKID-1")
		synctest.Wait()
		if s := c.Stats()[0]; !s.Ready || s.SecretID != "AKID-2" {
			t.Errorf("got %+v, want AKID-2", s)
		}
	})
}

func TestInvalidateKeepsToTheBackoff(t *testing.T) {
	src := &issuer{life: 30 * time.Minute}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		src.fails(errDown)
		time.Sleep(20*time.Minute + 100*time.Millisecond) // the refresh failed, 0.4 s are left
		p.Invalidate("AKID-1")
		synctest.Wait()
		if n := src.count(); n != 2 {
			t.Errorf("%d calls, want 2: a report is no reason to hammer a source that is down", n)
		}
		wantUnavailable(t, p, errDown, 400*time.Millisecond)
		src.fails(nil)
		time.Sleep(400 * time.Millisecond)
		wantKey(t, p, 3, 0)
	})
}

func TestReportsOnAnOlderKeyDoNothing(t *testing.T) {
	src := &issuer{life: time.Hour}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		p.Invalidate("AKID-1") // nothing is cached yet
		wantKey(t, p, 1, 0)
		p.Invalidate("AKID-1")
		wantKey(t, p, 2, 0)
		for range 100 {
			p.Invalidate("AKID-1")
			p.Invalidate("")
		}
		wantKey(t, p, 2, 0)
		if n := src.count(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestManyReportsOnOneKeyCauseOneFetch(t *testing.T) {
	src := &issuer{life: time.Hour}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		src.takes(time.Second)
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond) // some while the fetch runs, some after it
				p.Invalidate("AKID-1")
				if creds, err := p.Credentials(t.Context()); err != nil || creds.SecretID != "AKID-2" {
					t.Errorf("got %v, %v, want AKID-2", creds, err)
				}
			})
		}
		wg.Wait()
		if n := src.count(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestARefusedKeyIsNotServedWhenItsRenewalFails(t *testing.T) {
	src, wall := &issuer{life: 30 * time.Minute}, &clock{}
	virtually(t, src, credcache.Options{Now: wall.now}, func(t *testing.T, c *credcache.Cache) {
		p := sleeping(t, c, src, wall, 30*time.Second)
		src.takes(500 * time.Millisecond)
		src.fails(errDown)
		got := make(chan error)
		go func() { // waits in the hard window, with AKID-1 to fall back on
			_, err := p.Credentials(t.Context())
			got <- err
		}()
		synctest.Wait()
		p.Invalidate("AKID-1")
		if err := <-got; !errors.Is(err, errDown) {
			t.Errorf("got %v, want the failure of the fetch", err)
		}
	})
}

func TestASourceThatRepeatsTheRefusedKey(t *testing.T) {
	src := &issuer{other: func(context.Context, int) (signer.Credentials, error) {
		return temporary(1, time.Hour), nil
	}}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		p.Invalidate("AKID-1")
		synctest.Wait()
		wantUnavailable(t, p, credcache.ErrSameKey, 500*time.Millisecond)
		for range 49 {
			time.Sleep(100 * time.Millisecond)
			if got := crowd(t, p, 10); got["AKID-1"] != 0 {
				t.Fatalf("the refused key is back: %v", got)
			}
		}
		// Calls at 0 for the first key, then 0, 0.5, 1.5 and 3.5 s.
		if n := src.count(); n != 5 {
			t.Errorf("%d calls in 5 s, want 5", n)
		}
		time.Sleep(3 * time.Second)
		wantKey(t, p, 1, 0) // another chance, or one false alarm would end a static key
	})
}

// COS that refuses every key is a storm of reports, not of calls.
func TestRefusalsOfNewKeysAreSpaced(t *testing.T) {
	src := &issuer{life: time.Hour, delay: 50 * time.Millisecond}
	virtually(t, src, credcache.Options{Rand: func() float64 { return 0.5 }}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
			if creds, err := p.Credentials(t.Context()); err == nil {
				p.Invalidate(creds.SecretID)
			}
		}
		// Two at once, then after 0.5, 1, 2, 4, 8, 16 and 30 s.
		if n := src.count(); n != 8 {
			t.Errorf("%d calls in a minute, want 8", n)
		}
		var unavailable *credcache.UnavailableError
		if _, err := p.Credentials(t.Context()); !errors.As(err, &unavailable) || !errors.Is(err, credcache.ErrRefused) {
			t.Errorf("got %v, want ErrRefused", err)
		}
		time.Sleep(time.Minute)
		if _, err := p.Credentials(t.Context()); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	})
}
