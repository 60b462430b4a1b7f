package credcache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// honestIssuer returns a source whose credentials expire by the true clock, independent of
// the wall clock of the sidecar.
func honestIssuer() *issuer { return &issuer{life: 30 * time.Minute} }

func TestCache_ClockSet(t *testing.T) {
	const hours = 3 * time.Hour
	for _, tt := range []struct {
		name        string
		step, after time.Duration // the clock is off by step, starting at after
		set         time.Duration // when the clock is corrected; 0: never
		lost        time.Duration // how long the application gets errors
		rejected    int           // credentials past their true expiry, which COS rejects
		calls       int           // of the source in 60 min
	}{
		// The wrong clock makes valid and new credentials look expired. The first ones are
		// used again as soon as the clock is correct.
		{"3 h ahead, correct after 5 min", hours, 5 * time.Minute, 10 * time.Minute, 5 * time.Minute, 0, 19},
		{"3 h ahead, never corrected", hours, 5 * time.Minute, 0, 55 * time.Minute, 0, 116},
		// With the clock set back, credentials look fresh for longer, but the refresh comes
		// on time. The next ones seem to live 3 h longer, until COS rejects them.
		{"3 h back, never corrected", -hours, 5 * time.Minute, 0, 0, 1, 3},
		{"3 h back, correct after 20 min", -hours, 5 * time.Minute, 25 * time.Minute, 0, 0, 4},
		{"10 min back, never corrected", -10 * time.Minute, 5 * time.Minute, 0, 0, 0, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, wall := honestIssuer(), &clock{}
			withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				p.Warm()
				synctest.Wait()
				var lost time.Duration
				rejected := 0
				for at := time.Duration(0); at < time.Hour; at += time.Second {
					switch {
					case at == tt.after:
						wall.jump(tt.step)
					case at == tt.set && tt.set > 0:
						wall.jump(-tt.step)
					}
					creds, err := p.Credentials(t.Context())
					switch {
					case err == nil && creds.Expired(time.Now()):
						rejected++
						p.Invalidate(creds.SecretID, false) // as the proxy does after the response of COS
					case err != nil && !errors.Is(err, credcache.ErrInvalidResponse):
						t.Fatalf("after %v: %v, want an invalid response", at, err)
					case err != nil:
						lost += time.Second
					}
					time.Sleep(time.Second)
				}
				if lost != tt.lost || rejected != tt.rejected || src.count() != tt.calls {
					t.Errorf("errors for %v, %d rejections, %d calls; want %v, %d, %d", lost, rejected, src.count(), tt.lost, tt.rejected, tt.calls)
				}
			})
		})
	}
}

// A clock that is ahead schedules the refresh of an idle scope. After the clock is
// corrected, the refresh must not be hours away.
func TestCache_ClockCorrectedWithoutTraffic(t *testing.T) {
	src, wall := honestIssuer(), &clock{}
	wall.jump(3 * time.Hour) // as a machine may boot
	withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		c.For(uploads).Warm()
		time.Sleep(5 * time.Minute)
		if c.Stats()[0].Ready {
			t.Fatal("ready although all credentials look expired")
		}
		wall.jump(-3 * time.Hour)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := c.Stats()[0]; !s.Ready {
			t.Errorf("a minute after the clock was corrected: %+v", s)
		}
	})
}

// The limit of fetches after rejections uses the monotonic clock: setting the wall clock back
// must not prolong it.
func TestInvalidate_ClockSetBack(t *testing.T) {
	src, wall := repeating(0), &clock{}
	withCache(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		for range 100 {
			rejectTwice(t, p, 1)
		}
		wall.jump(-3 * time.Hour)
		n := src.count()
		time.Sleep(10 * time.Second)
		rejectTwice(t, p, 1)
		if got := src.count() - n; got != 1 {
			t.Errorf("%d calls 10 s after the clock was set back, want 1", got)
		}
	})
}

// A rejection during a long outage must not wait for the end of a pause that was scheduled
// while the credentials were valid for half an hour.
func TestInvalidate_LongPause(t *testing.T) {
	src := &issuer{life: 2 * time.Hour}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		src.setError(errDown)
		time.Sleep(80*time.Minute + 9*time.Minute) // pauses have grown to minutes
		src.setError(nil)
		p.Invalidate("AKID-1", false)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if s := c.Stats()[0]; !s.Ready || s.SecretID == "AKID-1" {
			t.Errorf("30 s after the report: %+v", s)
		}
	})
}

// A source that keeps its credentials until the expiry, such as a metadata server, is called
// again exactly at the expiry.
func TestCache_SourceRenewsAtExpiry(t *testing.T) {
	var old signer.Credentials
	src := &issuer{other: func(context.Context, int) (signer.Credentials, error) {
		if !old.Expired(time.Now()) {
			return old, nil
		}
		return temporary(2, 30*time.Minute), nil
	}}
	withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		old = temporary(1, 30*time.Minute)
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		wantCredentials(t, p, 2, 0)
	})
}
