package main

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/credcache"
)

// credentialStore holds the credentials of all routes: one cache for each combination of
// source and duration, with one set of credentials for each scope. The credentials of a
// first role have a cache of their own.
type credentialStore struct {
	caches  map[cacheID]*credcache.Cache
	callers map[string]*credcache.Cache // of first roles, by source
	shared  []*sharedCredentials        // without duplicates, in the order of the routes
}

type cacheID struct {
	source   string
	duration time.Duration
}

// sharedCredentials is one set of credentials and the names of the routes that share it.
type sharedCredentials struct {
	cache    *credcache.Cache
	provider *credcache.Provider
	routes   []string
}

// newCredentialStore creates the caches. It does not fetch credentials.
func newCredentialStore(cfg *resolved, t *transports, opts credcache.Options) (*credentialStore, error) {
	store := &credentialStore{caches: make(map[cacheID]*credcache.Cache), callers: make(map[string]*credcache.Cache)}
	for _, r := range cfg.routes {
		id := cacheID{source: r.Source}
		if kind, _ := cfg.Source.kindOf(r.Source); kind.hasDuration {
			id.duration = r.Duration
		}
		if store.caches[id] == nil {
			source, err := store.newSource(cfg, id, t, opts)
			if err != nil {
				return nil, err
			}
			store.caches[id] = credcache.New(source, opts)
		}
		store.add(store.caches[id], r)
	}
	return store, nil
}

func (s *credentialStore) add(cache *credcache.Cache, r *route) {
	provider := cache.For(r.scope())
	for _, c := range s.shared {
		if c.provider == provider { // the scopes are equal
			c.routes = append(c.routes, r.name)
			return
		}
	}
	s.shared = append(s.shared, &sharedCredentials{cache: cache, provider: provider, routes: []string{r.name}})
}

// of returns the credentials of a route.
func (s *credentialStore) of(r *route) *sharedCredentials {
	for _, c := range s.shared {
		if slices.Contains(c.routes, r.name) {
			return c
		}
	}
	panic("cosproxy: route " + r.name + " has no credentials")
}

func (s *credentialStore) close() {
	for _, cache := range s.caches {
		cache.Close()
	}
	for _, caller := range s.callers {
		caller.Close()
	}
}

func (c *sharedCredentials) stats() credcache.ScopeStats {
	for _, s := range c.cache.Stats() {
		if c.cache.For(s.Scope) == c.provider {
			return s
		}
	}
	return credcache.ScopeStats{}
}

// credentialCollector exports the state of the credentials to Prometheus. Credentials
// that several routes share are one series, labeled with the names of all of them. Those
// that only assume a second role have a series without a bucket.
type credentialCollector struct {
	store *credentialStore

	ready, expiry, fetches, failures *prometheus.Desc
}

func newCredentialCollector(store *credentialStore) *credentialCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"route", "bucket"}, nil)
	}
	return &credentialCollector{
		store:    store,
		ready:    desc("cosproxy_credentials_ready", "1 if the credentials are valid, else 0."),
		expiry:   desc("cosproxy_credentials_expiry_timestamp_seconds", "Unix time at which the credentials expire; absent without credentials or an expiry."),
		fetches:  desc("cosproxy_credentials_fetches_total", "Attempts to fetch credentials from the source."),
		failures: desc("cosproxy_credentials_fetch_failures_total", "Attempts that returned no new credentials."),
	}
}

// Describe implements prometheus.Collector.
func (c *credentialCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.ready, c.expiry, c.fetches, c.failures} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *credentialCollector) Collect(ch chan<- prometheus.Metric) {
	for _, shared := range c.store.shared {
		c.collect(ch, strings.Join(shared.routes, ","), shared.stats())
	}
	for source, caller := range c.store.callers {
		for _, stats := range caller.Stats() {
			c.collect(ch, "first role of "+source, stats)
		}
	}
}

func (c *credentialCollector) collect(ch chan<- prometheus.Metric, route string, stats credcache.ScopeStats) {
	send := func(desc *prometheus.Desc, t prometheus.ValueType, value float64) {
		ch <- prometheus.MustNewConstMetric(desc, t, value, route, stats.Scope.Bucket)
	}
	ready := 0.0
	if stats.Ready {
		ready = 1
	}
	send(c.ready, prometheus.GaugeValue, ready)
	if !stats.Expires.IsZero() {
		send(c.expiry, prometheus.GaugeValue, float64(stats.Expires.Unix()))
	}
	send(c.fetches, prometheus.CounterValue, float64(stats.Fetches))
	send(c.failures, prometheus.CounterValue, float64(stats.Failures))
}
