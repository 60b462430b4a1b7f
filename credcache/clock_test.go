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

// trueTime is a source whose keys expire by the true clock, whatever the wall
// clock of the sidecar says.
func trueTime() *issuer { return &issuer{life: 30 * time.Minute} }

func TestAClockThatIsSet(t *testing.T) {
	const hours = 3 * time.Hour
	for _, tt := range []struct {
		name        string
		step, after time.Duration // the clock is off by step from after on
		set         time.Duration // when it is set right; 0: never
		lost        time.Duration // how long the application gets errors
		refused     int           // keys past their true expiry, which COS refuses
		calls       int           // of the source in 60 min
	}{
		// Each line: the wrong clock makes a valid key look expired, and the
		// fresh ones too; the first key is used again as soon as it may.
		{"3 h ahead, right after 5 min", hours, 5 * time.Minute, 10 * time.Minute, 5 * time.Minute, 0, 19},
		{"3 h ahead, never right", hours, 5 * time.Minute, 0, 55 * time.Minute, 0, 116},
		// Set back, a key looks young for long: its renewal comes all the same.
		// The next key seems to live 3 h longer than it does, until COS refuses it.
		{"3 h back, never right", -hours, 5 * time.Minute, 0, 0, 1, 3},
		{"3 h back, right after 20 min", -hours, 5 * time.Minute, 25 * time.Minute, 0, 0, 4},
		{"10 min back, never right", -10 * time.Minute, 5 * time.Minute, 0, 0, 0, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, wall := trueTime(), &clock{}
			virtually(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				p.Warm()
				synctest.Wait()
				var lost time.Duration
				refused := 0
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
						refused++
						p.Invalidate(creds.SecretID, false) // as COS's answer has the proxy do
					case err != nil && !errors.Is(err, credcache.ErrBadAnswer):
						t.Fatalf("after %v: %v, want a word on the clock", at, err)
					case err != nil:
						lost += time.Second
					}
					time.Sleep(time.Second)
				}
				if lost != tt.lost || refused != tt.refused || src.count() != tt.calls {
					t.Errorf("errors for %v, %d refused keys, %d calls; want %v, %d, %d", lost, refused, src.count(), tt.lost, tt.refused, tt.calls)
				}
			})
		})
	}
}

// The renewal of an idle scope is planned by a clock that is ahead; when that
// is set right, the plan must not lie hours away.
func TestAClockSetRightWithoutTraffic(t *testing.T) {
	src, wall := trueTime(), &clock{}
	wall.jump(3 * time.Hour) // as a machine may boot
	virtually(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		c.For(uploads).Warm()
		time.Sleep(5 * time.Minute)
		if c.Stats()[0].Ready {
			t.Fatal("ready although every key looks expired")
		}
		wall.jump(-3 * time.Hour)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := c.Stats()[0]; !s.Ready {
			t.Errorf("a minute after the clock was set right: %+v", s)
		}
	})
}

// The limit of fetches on rejection is counted by the monotonic clock: one that is
// set back must not stretch it.
func TestInvalidate_ClockSetBack(t *testing.T) {
	src, wall := repeating(0), &clock{}
	virtually(t, src, credcache.Options{}.WithNow(wall.now), func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		for range 100 {
			rejects(t, p, 1)
		}
		wall.jump(-3 * time.Hour)
		n := src.count()
		time.Sleep(10 * time.Second)
		rejects(t, p, 1)
		if got := src.count() - n; got != 1 {
			t.Errorf("%d calls 10 s after the clock was set back, want 1", got)
		}
	})
}

// A key refused during a long outage must not wait out a pause that was planned
// when it had half an hour to live.
func TestARefusedKeyShortensALongPause(t *testing.T) {
	src := &issuer{life: 2 * time.Hour}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		src.fails(errDown)
		time.Sleep(80*time.Minute + 9*time.Minute) // pauses have grown to minutes
		src.fails(nil)
		p.Invalidate("AKID-1", false)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if s := c.Stats()[0]; !s.Ready || s.SecretID == "AKID-1" {
			t.Errorf("30 s after the report: %+v", s)
		}
	})
}

// A source that keeps its key to the end, as a metadata server may, is asked
// again at the very expiry.
func TestASourceThatRenewsAtTheExpiry(t *testing.T) {
	var old signer.Credentials
	src := &issuer{other: func(context.Context, int) (signer.Credentials, error) {
		if !old.Expired(time.Now()) {
			return old, nil
		}
		return temporary(2, 30*time.Minute), nil
	}}
	virtually(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		old = temporary(1, 30*time.Minute)
		p := c.For(uploads)
		wantKey(t, p, 1, 0)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		wantKey(t, p, 2, 0)
	})
}
