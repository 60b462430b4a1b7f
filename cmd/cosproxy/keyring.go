package main

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/credcache"
)

// transports are the ways out of the process. A zero one is enough to check
// settings with.
type transports struct {
	toCOS  http.RoundTripper // of cosproxy check; requests of applications have a way of their own
	toKeys http.RoundTripper // to STS and the key server

	all []*http.Transport
}

func newTransports(cfg *resolved) *transports {
	toCOS := newTransport(cfg, cfg.ConnectTo)
	toKeys := newTransport(cfg, "")
	return &transports{toCOS: toCOS, toKeys: toKeys, all: []*http.Transport{toCOS, toKeys}}
}

func (t *transports) close() {
	for _, transport := range t.all {
		transport.CloseIdleConnections()
	}
}

// keyring holds the keys of all routes: one cache for each source and duration,
// and in it one key for each scope.
type keyring struct {
	caches map[cacheID]*credcache.Cache
	held   []*heldKey // each once, in the order of the routes
}

type cacheID struct {
	source   string
	duration time.Duration
}

// heldKey is one key, and the names of the routes that share it.
type heldKey struct {
	cache    *credcache.Cache
	provider *credcache.Provider
	routes   []string
}

// newKeyring fetches nothing yet.
func newKeyring(cfg *resolved, t *transports, opts credcache.Options) (*keyring, error) {
	ring := &keyring{caches: make(map[cacheID]*credcache.Cache)}
	for _, r := range cfg.routes {
		kind, id := sourceKinds[r.Source], cacheID{source: r.Source}
		if kind.hasDuration {
			id.duration = r.Duration
		}
		if ring.caches[id] == nil {
			source, err := kind.new(&cfg.Source, id.duration, t)
			if err != nil {
				return nil, err
			}
			ring.caches[id] = credcache.New(source, opts)
		}
		ring.add(ring.caches[id], r)
	}
	return ring, nil
}

func (ring *keyring) add(cache *credcache.Cache, r *route) {
	provider := cache.For(r.scope())
	for _, k := range ring.held {
		if k.provider == provider { // equal scopes have the same
			k.routes = append(k.routes, r.name)
			return
		}
	}
	ring.held = append(ring.held, &heldKey{cache: cache, provider: provider, routes: []string{r.name}})
}

// of is the key of a route.
func (ring *keyring) of(r *route) *heldKey {
	for _, k := range ring.held {
		if slices.Contains(k.routes, r.name) {
			return k
		}
	}
	panic("cosproxy: route " + r.name + " has no key")
}

func (ring *keyring) close() {
	for _, cache := range ring.caches {
		cache.Close()
	}
}

func (k *heldKey) stats() credcache.ScopeStats {
	for _, s := range k.cache.Stats() {
		if k.cache.For(s.Scope) == k.provider {
			return s
		}
	}
	return credcache.ScopeStats{}
}

// credentialCollector shows the state of the keys to Prometheus. A key that
// several routes share is one series, labelled with all of them.
type credentialCollector struct {
	keys *keyring

	ready, expiry, fetches, failures *prometheus.Desc
}

func newCredentialCollector(keys *keyring) *credentialCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"route", "bucket"}, nil)
	}
	return &credentialCollector{
		keys:     keys,
		ready:    desc("cosproxy_credentials_ready", "1 if there is a valid key, else 0."),
		expiry:   desc("cosproxy_credentials_expiry_timestamp_seconds", "Unix time at which the key expires; absent without a key or an expiry."),
		fetches:  desc("cosproxy_credentials_fetches_total", "Attempts to get a key from the source."),
		failures: desc("cosproxy_credentials_fetch_failures_total", "Attempts that brought no new key."),
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
	for _, k := range c.keys.held {
		key := k.stats()
		routes := strings.Join(k.routes, ",")
		show := func(desc *prometheus.Desc, t prometheus.ValueType, value float64) {
			ch <- prometheus.MustNewConstMetric(desc, t, value, routes, key.Scope.Bucket)
		}
		ready := 0.0
		if key.Ready {
			ready = 1
		}
		show(c.ready, prometheus.GaugeValue, ready)
		if !key.Expires.IsZero() {
			show(c.expiry, prometheus.GaugeValue, float64(key.Expires.Unix()))
		}
		show(c.fetches, prometheus.CounterValue, float64(key.Fetches))
		show(c.failures, prometheus.CounterValue, float64(key.Failures))
	}
}
