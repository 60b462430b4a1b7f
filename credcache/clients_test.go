package credcache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// chain is a cache of an issuer and caches of its clients, which get the expiry in whole
// seconds, as JSON has it.
type chain struct {
	forClients   bool
	issuerJitter float64
	clientJitter func() float64
}

// run starts ten clients in the first life and returns the calls of STS and the
// fetches of clients that brought nothing new, after five lives.
func (c chain) run(t *testing.T, life time.Duration) (calls int, notRenewed uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sts := &issuer{life: life, delay: 300 * time.Millisecond}
		cache := credcache.New(sts, credcache.Options{ForClients: c.forClients}.WithRand(func() float64 { return c.issuerJitter }))
		defer cache.Close()
		source := credcache.SourceFunc(func(ctx context.Context, s credcache.Scope) (signer.Credentials, error) {
			creds, err := cache.For(s).Credentials(ctx)
			creds.Expires = time.Unix(creds.Expires.Unix(), 0)
			return creds, err
		})
		var clients []*credcache.Cache
		for range 10 {
			client := credcache.New(source, credcache.Options{}.WithRand(c.clientJitter))
			defer client.Close()
			client.For(uploads).Warm()
			clients = append(clients, client)
			time.Sleep(life / 10)
		}
		time.Sleep(4 * life)
		for _, client := range clients {
			stats := client.Stats()[0]
			if !stats.Ready || time.Until(stats.Expires) < life/5 {
				t.Errorf("a client has credentials until %v", stats.Expires)
			}
			notRenewed += stats.Failures
		}
		calls = sts.count()
	})
	return calls, notRenewed
}

// A client that refreshes its credentials must get others, whatever the jitter of both sides.
func TestForClients_AlwaysRenewed(t *testing.T) {
	for _, life := range []time.Duration{10 * time.Minute, 30 * time.Minute, 2 * time.Hour} {
		for name, client := range map[string]func() float64{
			"early": func() float64 { return 0 }, "late": func() float64 { return 0.999 }, "random": rand.Float64,
		} {
			for _, jitter := range []float64{0, 0.999} {
				t.Run(fmt.Sprint(life, name, jitter), func(t *testing.T) {
					calls, notRenewed := chain{true, jitter, client}.run(t, life)
					if notRenewed > 0 || calls > 12 {
						t.Errorf("%d fetches brought nothing new, with %d calls of STS in 5 lives; want none with at most 12", notRenewed, calls)
					}
				})
			}
		}
	}
}

// Without the option, the refreshes of both sides meet.
func TestForClients_Off(t *testing.T) {
	_, notRenewed := chain{false, 0.999, func() float64 { return 0 }}.run(t, 30*time.Minute)
	if notRenewed == 0 {
		t.Error("each fetch brought others; the option is not needed")
	}
}

func TestForget(t *testing.T) {
	source := &issuer{life: 30 * time.Minute}
	withCache(t, source, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		c.Forget(uploads)
		c.Forget(uploads) // unknown
		time.Sleep(24 * time.Hour)
		if source.count() != 1 || len(c.Stats()) != 0 {
			t.Errorf("%d calls and %d scopes after Forget, want 1 and 0", source.count(), len(c.Stats()))
		}
		wantCredentials(t, c.For(uploads), 2, 0) // another Provider
		wantCredentials(t, p, 3, 0)              // usable, but without refreshes
		time.Sleep(25 * time.Minute)
		if source.count() != 4 {
			t.Errorf("%d calls, want 4: only the new Provider refreshes", source.count())
		}
	})
}

// A fetch in flight ends, and no other follows, even if it fails.
func TestForget_InFlight(t *testing.T) {
	for _, err := range []error{nil, errDown} {
		source := &issuer{life: 30 * time.Minute, delay: 2 * time.Second, err: err}
		withCache(t, source, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
			c.For(uploads).Warm()
			time.Sleep(time.Second)
			c.Forget(uploads)
			p := c.For(uploads)
			if p.Warm(); err == nil {
				wantCredentials(t, p, 2, 2*time.Second) // its own fetch, not that of the old Provider
			}
			c.Forget(uploads)
			time.Sleep(24 * time.Hour)
			if source.count() > 2 {
				t.Errorf("%d calls, want at most 2", source.count())
			}
			fetches, failures := c.Totals()
			if fetches != uint64(source.count()) || (failures == 0) != (err == nil) {
				t.Errorf("%d fetches, %d failures in total after %d calls", fetches, failures, source.count())
			}
		})
	}
}
