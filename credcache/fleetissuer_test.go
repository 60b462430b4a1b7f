package credcache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	issuing "cosproxy/credcache/issuer"
	"cosproxy/signer"
)

// issuerFleet is a fleet whose sidecars get their credentials from two issuers, behind a
// load balancer that selects one at random for each request. Everything but the network and
// STS is real: the caches, the source http, the handler of the issuers.
type issuerFleet struct {
	size   int
	scopes int           // the sidecars request that many different scopes
	life   time.Duration // of the credentials
	run    time.Duration

	down, up   time.Duration // STS fails from down to up
	gone, back time.Duration // one issuer is not reachable from gone to back

	throttled time.Duration // until then the load balancer responds with 503
	delay     time.Duration // and this Retry-After
}

// fleetRecord is what happened in a fleet.
type fleetRecord struct {
	issuerFleet
	start time.Time

	mu       sync.Mutex
	calls    map[string][]time.Duration // of STS, by issuer and scope
	requests []int                      // to the issuers, by second
	statuses map[int]int
	early    int // requests of sidecars before the Retry-After that they got
}

// fetch is STS.
func (f *fleetRecord) fetch(issuer int, scope credcache.Scope) (signer.Credentials, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, key := time.Since(f.start), fmt.Sprintf("%d-%s", issuer, scope.AllowPrefixes[0])
	f.calls[key] = append(f.calls[key], at)
	if f.down <= at && at < f.up {
		return signer.Credentials{}, &credcache.SourceError{Source: "sts", Code: "InternalError", Retryable: true}
	}
	return signer.Credentials{
		SecretID: fmt.Sprintf("AKID-%s-%d", key, len(f.calls[key])), SecretKey: secret, Token: secret, Expires: time.Now().Add(f.life),
	}, nil
}

// roundTripper is the load balancer, for one sidecar.
func (f *fleetRecord) roundTripper(issuers []*issuing.Issuer, chance func() float64) http.RoundTripper {
	var notBefore time.Duration
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		at := time.Since(f.start)
		n := int(chance() * float64(len(issuers)))
		if f.gone <= at && at < f.back {
			n = 1
		}
		w := httptest.NewRecorder()
		if at < f.throttled {
			w.Header().Set("Retry-After", fmt.Sprint(f.delay.Seconds()))
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			issuers[n].ServeHTTP(w, r)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if at < notBefore {
			f.early++
		}
		if notBefore = 0; at < f.throttled {
			notBefore = at + f.delay
		}
		f.requests[at/time.Second]++
		f.statuses[w.Code]++
		return w.Result(), nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// simulate runs the fleet and returns the record and the statistics of all sidecars.
func (f issuerFleet) simulate(t *testing.T) (*fleetRecord, []credcache.ScopeStats) {
	t.Helper()
	dir, token := t.TempDir(), strings.Repeat("t", 32)
	if err := os.WriteFile(filepath.Join(dir, "fleet"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, problems, err := issuing.ReadTokens(t.Context(), dir)
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	record := &fleetRecord{issuerFleet: f, calls: make(map[string][]time.Duration), requests: make([]int, f.run/time.Second+1), statuses: make(map[int]int)}
	var all []credcache.ScopeStats
	synctest.Test(t, func(t *testing.T) {
		record.start = time.Now()
		var issuers []*issuing.Issuer
		for n := range 2 {
			cache := credcache.New(credcache.SourceFunc(func(_ context.Context, scope credcache.Scope) (signer.Credentials, error) {
				time.Sleep(200 * time.Millisecond)
				return record.fetch(n, scope)
			}), credcache.Options{ForClients: true})
			defer cache.Close()
			i, err := issuing.New(issuing.Options{
				Tokens: func() (*issuing.Tokens, error) { return tokens, nil },
				Routes: []issuing.Route{{Name: "0", Scope: scope("uploads/*", "read,upload"), Callers: []string{"fleet"}, Cache: cache}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer i.Close()
			issuers = append(issuers, i)
		}
		for n := range f.size {
			chance := rand.New(rand.NewPCG(1, uint64(n))).Float64
			source, err := credcache.NewHTTP(credcache.HTTPOptions{URL: "https://issuer.internal/credentials", Token: token, Transport: record.roundTripper(issuers, rand.Float64)})
			if err != nil {
				t.Fatal(err)
			}
			c := credcache.New(source, credcache.Options{Splay: 20 * time.Second}.WithRand(func() float64 { return chance() }))
			defer c.Close()
			time.AfterFunc(time.Duration(chance()*float64(10*time.Second)), c.For(scope(fmt.Sprintf("uploads/%d/*", n%f.scopes), "upload")).Warm)
			defer func() { all = append(all, c.Stats()...) }()
		}
		time.Sleep(f.run)
	})
	return record, all
}

// minGap returns the minimum time between two calls of STS by one issuer for one scope.
func (f *fleetRecord) minGap() time.Duration {
	gap := f.run
	for _, calls := range f.calls {
		for i := 1; i < len(calls); i++ {
			gap = min(gap, calls[i]-calls[i-1])
		}
	}
	return gap
}

// Two issuers make at most two calls of STS for each scope and renewal, however many sidecars
// there are, and no sidecar gets its current credentials again.
func TestFleet_Issuer(t *testing.T) {
	f := issuerFleet{size: 10_000, scopes: 3, life: 30 * time.Minute, run: max(*fleetRun, 46*time.Minute)}
	record, sidecars := f.simulate(t)
	renewals := int(f.run/(f.life*45/100)) + 1
	total := 0
	for key, calls := range record.calls {
		if total += len(calls); len(calls) > renewals {
			t.Errorf("%s: %d calls of STS at %v, want at most %d", key, len(calls), calls, renewals)
		}
	}
	t.Logf("%d calls of STS in %v by 2 issuers for %d scopes, at least %v apart; %d requests to the issuers, at most %d per second",
		total, f.run, f.scopes, record.minGap(), record.statuses[200], slices.Max(record.requests))
	if gap := record.minGap(); len(record.calls) != 2*f.scopes || gap < f.life*45/100 {
		t.Errorf("%d issuers and scopes, with %v between two calls; want %d and %v", len(record.calls), gap, 2*f.scopes, f.life*45/100)
	}
	if len(record.statuses) != 1 {
		t.Errorf("statuses %v, want 200 alone", record.statuses)
	}
	wantFleet(t, record, sidecars, 0)
}

// An outage of STS that is shorter than half a life reaches no sidecar, and one issuer can be
// away.
func TestFleet_IssuerOutage(t *testing.T) {
	const m = time.Minute
	f := issuerFleet{size: 1_000, scopes: 3, life: 30 * m, run: 70 * m, down: 14 * m, up: 26 * m, gone: 30 * m, back: 50 * m}
	record, sidecars := f.simulate(t)
	during := 0
	for _, calls := range record.calls {
		for _, at := range calls {
			if f.down <= at && at < f.up {
				during++
			}
		}
	}
	t.Logf("%d calls of STS during its outage, statuses %v, at most %d requests per second after the start",
		during, record.statuses, slices.Max(record.requests[60:]))
	if limit := 2 * f.scopes * 25; during > limit || record.statuses[200] == 0 || slices.Max(record.requests[60:]) > f.size/10 {
		t.Errorf("%d calls of STS during its outage, want at most %d; at most %d requests per second, want %d",
			during, limit, slices.Max(record.requests[60:]), f.size/10)
	}
	wantFleet(t, record, sidecars, 10*f.size)
}

// A fleet whose start is throttled comes back after the requested delay, and not in one instant.
func TestFleet_IssuerThrottled(t *testing.T) {
	const m = time.Minute
	f := issuerFleet{size: 10_000, scopes: 3, life: 30 * m, run: 5 * m, throttled: m, delay: m}
	record, sidecars := f.simulate(t)
	start, later := slices.Max(record.requests[:60]), slices.Max(record.requests[60:])
	t.Logf("at most %d requests per second while throttled, then %d; statuses %v", start, later, record.statuses)
	if record.early > 0 || later > start {
		t.Errorf("%d requests before Retry-After, want 0; at most %d per second after it, want %d", record.early, later, start)
	}
	wantFleet(t, record, sidecars, f.size)
}

// wantFleet fails the test unless all sidecars have valid credentials, and at most this many
// of their fetches failed.
func wantFleet(t *testing.T, record *fleetRecord, sidecars []credcache.ScopeStats, maxFailures int) {
	t.Helper()
	failures := 0
	for _, s := range sidecars {
		failures += int(s.Failures)
		if s.SecretID == "" || s.Expires.Before(record.start.Add(record.run+record.life/5)) {
			t.Fatalf("a sidecar has %q until %v, with %d fetches: %s", s.SecretID, s.Expires.Sub(record.start), s.Fetches, s.LastError)
		}
	}
	t.Logf("%d failed fetches of sidecars", failures)
	if len(sidecars) != record.size || failures > maxFailures {
		t.Errorf("%d sidecars with %d failed fetches, want %d and at most %d", len(sidecars), failures, record.size, maxFailures)
	}
}
