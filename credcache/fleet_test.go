package credcache_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// For the figures of a day: go test -v -run TestFleet ./credcache -fleet 24h.
var fleetRun = flag.Duration("fleet", 34*time.Minute, "virtual time that TestFleet runs for, at least 34m; from 4h on with more cases")

// Documented quotas of STS, in calls per second and account.
const (
	quotaFederation  = 600 // GetFederationToken, AssumeRole
	quotaWebIdentity = 20  // AssumeRoleWithWebIdentity
)

// fleet is a roll-out of sidecars that share the quota of one account. Each has a real Cache
// with one scope, in virtual time.
type fleet struct {
	size   int
	within time.Duration // their start is uniformly random in this time
	splay  time.Duration // Options.Splay of each
	life   time.Duration // of the credentials
	quota  int           // calls that STS accepts per second
	run    time.Duration
	eager  bool // each sidecar requests its credentials at its start

	down, up time.Duration // every call fails from down to up

	// From rejected to accept COS rejects all credentials, and each sidecar has one request
	// per second.
	rejected, accept time.Duration
}

// account simulates STS with its quota: it counts the calls of each second and rejects those
// above the quota.
type account struct {
	fleet
	start time.Time

	mu        sync.Mutex
	calls     []int // by second
	overQuota int
	latest    []time.Duration // by sidecar: when its credentials were issued
	lastFirst time.Duration   // when the last sidecar got its first credentials
}

func (a *account) fetch(sidecar int) (signer.Credentials, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := time.Since(a.start)
	second := int(at / time.Second)
	a.calls[second]++
	switch {
	case a.down <= at && at < a.up:
		return signer.Credentials{}, errDown
	case a.calls[second] > a.quota:
		a.overQuota++
		return signer.Credentials{}, &credcache.SourceError{Source: "sts", Code: "RequestLimitExceeded", Retryable: true}
	}
	if a.latest[sidecar] == 0 {
		a.lastFirst = at
	}
	a.latest[sidecar] = at
	return signer.Credentials{
		SecretID: fmt.Sprintf("AKID-%d-%d", sidecar, at), SecretKey: secret, Token: secret, Expires: time.Now().Add(a.life),
	}, nil
}

// roll runs the fleet.
func (f fleet) roll(t *testing.T) *account {
	a := &account{fleet: f, calls: make([]int, f.run/time.Second+1), latest: make([]time.Duration, f.size)}
	synctest.Test(t, func(t *testing.T) {
		a.start = time.Now()
		chance := rand.New(rand.NewPCG(1, 2))
		for i := range f.size {
			c := credcache.New(credcache.SourceFunc(func(context.Context, credcache.Scope) (signer.Credentials, error) {
				return a.fetch(i)
			}), credcache.Options{Splay: f.splay}.WithRand(rand.New(rand.NewPCG(3, uint64(i))).Float64))
			defer c.Close()
			time.AfterFunc(time.Duration(chance.Float64()*float64(f.within)), func() {
				p := c.For(uploads)
				p.Warm()
				if f.eager {
					_, _ = p.Credentials(t.Context())
				}
			})
			if f.accept > 0 {
				time.AfterFunc(f.rejected+time.Duration(chance.Float64()*float64(time.Second)), func() { a.reject(c.For(uploads)) })
			}
		}
		time.Sleep(f.run)
	})
	return a
}

// reject simulates one rejected request per second of a sidecar.
func (a *account) reject(p *credcache.Provider) {
	for ; time.Since(a.start) < a.accept; time.Sleep(time.Second) {
		if creds, err := p.Credentials(context.Background()); err == nil {
			p.Invalidate(creds.SecretID, true)
		}
	}
}

// peak returns the maximum calls per second in [from, to).
func (a *account) peak(from, to time.Duration) int {
	return slices.Max(a.calls[from/time.Second : to/time.Second])
}

// mean returns the average calls per second in [from, to).
func (a *account) mean(from, to time.Duration) float64 {
	sum := 0
	for _, n := range a.calls[from/time.Second : to/time.Second] {
		sum += n
	}
	return float64(sum) / (to - from).Seconds()
}

// wantCredentials fails the test unless every sidecar has valid credentials at the end.
func (a *account) wantCredentials(t *testing.T) {
	t.Helper()
	for i, at := range a.latest {
		if at == 0 || at+a.life < a.run {
			t.Fatalf("at the end sidecar %d has no valid credentials; the last were issued at %v", i, at)
		}
	}
}

func TestFleet(t *testing.T) {
	const m = time.Minute
	run := *fleetRun
	type outage struct {
		name     string
		down, up time.Duration
	}
	// The worst case: the first refreshes come together, and so do the following expiries.
	outages := []outage{{"an outage that starts with the first refreshes", 17 * m, min(77*m, run-210*time.Second)}}
	if run >= 4*time.Hour {
		outages = append(outages, outage{"no outage", 0, 0}, outage{"an outage in the middle", run / 2, run/2 + time.Hour})
	}
	for _, tt := range outages {
		t.Run(tt.name, func(t *testing.T) {
			f := fleet{size: 10_000, within: 10 * time.Second, splay: 20 * time.Second, life: 30 * m,
				quota: quotaFederation, run: run, down: tt.down, up: tt.up}
			a := f.roll(t)
			t.Logf("calls per second: start peak %d; then peak %d, mean %.1f; outage %v to %v peak %d; the 3 min after it peak %d; whole run mean %.1f",
				a.peak(0, m), a.peak(m, run), a.mean(m, run), tt.down, tt.up, a.peak(tt.down, tt.up+time.Second), a.peak(tt.up, tt.up+3*m), a.mean(0, run))
			if a.peak(0, run) > f.quota {
				t.Errorf("peak %d, %d calls rejected; the quota is %d", a.peak(0, run), a.overQuota, f.quota)
			}
			a.wantCredentials(t)
		})
	}
}

// Splay does not delay requests without credentials: the quota determines how long they wait,
// and the backoff how many calls they cost.
func TestFleet_ColdRequests(t *testing.T) {
	f := fleet{size: 10_000, within: 10 * time.Second, life: 30 * time.Minute, quota: quotaFederation, run: 5 * time.Minute, eager: true}
	a := f.roll(t)
	t.Logf("peak %d, %d calls rejected, the last first credentials after %v", a.peak(0, f.run), a.overQuota, a.lastFirst)
	if a.overQuota > f.size || a.lastFirst > 2*time.Minute {
		t.Errorf("%d calls rejected and the last first credentials after %v; want at most one rejected call each and 2 min", a.overQuota, a.lastFirst)
	}
	a.wantCredentials(t)
}

// If COS rejects all credentials of a fleet, all sidecars call STS in the first second,
// whatever the quota, and then each one about every 10 s.
func TestFleet_CredentialsRejected(t *testing.T) {
	const m = time.Minute
	f := fleet{size: 500, within: time.Second, splay: 20 * time.Second, life: 30 * m, quota: quotaFederation / 20,
		run: 5 * m, rejected: m, accept: 3 * m}
	a := f.roll(t)
	later := f.rejected + m
	t.Logf("calls per second: peak %d; after a minute peak %d, mean %.0f; when COS accepts again, mean %.1f",
		a.peak(f.rejected, later), a.peak(later, f.accept), a.mean(later, f.accept), a.mean(f.accept+m, f.run))
	if maxMean := 1.2 * float64(f.size) / 10; a.mean(later, f.accept) > maxMean || a.mean(f.accept+m, f.run) > 1 {
		t.Errorf("mean %.0f calls/s while COS rejects, %.1f after it; want at most %.0f and 1", a.mean(later, f.accept), a.mean(f.accept+m, f.run), maxMean)
	}
	a.wantCredentials(t)
}

// With web identity the quota limits the speed of the start. The refreshes of 7,000 pods (in a
// window of 2/15 of the lifetime) then stay below it.
func TestFleet_WebIdentity(t *testing.T) {
	const life = 2 * time.Hour
	type start struct {
		splay     time.Duration
		overQuota bool
	}
	starts := []start{{15 * time.Minute, false}}
	if *fleetRun >= 4*time.Hour {
		starts = append(starts, start{20 * time.Second, true})
	}
	for _, tt := range starts {
		t.Run(fmt.Sprint("splay ", tt.splay), func(t *testing.T) {
			f := fleet{size: 7_000, within: 10 * time.Second, splay: tt.splay, life: life, quota: quotaWebIdentity, run: 100 * time.Minute}
			a := f.roll(t)
			t.Logf("start peak %d; refreshes peak %d; %d calls rejected; the last first credentials after %v",
				a.peak(0, time.Hour), a.peak(time.Hour, f.run), a.overQuota, a.lastFirst)
			if over := a.peak(0, f.run) > f.quota; over != tt.overQuota {
				t.Errorf("peak %d, over the quota of %d: %v, want %v", a.peak(0, f.run), f.quota, over, tt.overQuota)
			}
			a.wantCredentials(t)
		})
	}
}
