package main

import (
	"net/http"
	"slices"
	"time"

	"cosproxy/credcache"
	"cosproxy/proxy"
)

// transports are the ways out of the process. A zero one is enough to check
// settings with.
type transports struct {
	toCOS  http.RoundTripper
	toKeys http.RoundTripper // to STS and the key server

	all []*http.Transport
}

func newTransports(cfg *config) *transports {
	toCOS := proxy.NewTransport(proxy.TransportOptions{ConnectTo: cfg.ConnectTo, RootCAs: cfg.roots, ResponseTimeout: cfg.StallTimeout})
	toKeys := proxy.NewTransport(proxy.TransportOptions{RootCAs: cfg.roots})
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
func newKeyring(cfg *config, t *transports, opts credcache.Options) (*keyring, error) {
	ring := &keyring{caches: make(map[cacheID]*credcache.Cache)}
	for _, r := range cfg.routes {
		kind, id := sourceKinds[r.Source], cacheID{source: r.Source}
		if kind.timed {
			id.duration = r.Duration
		}
		if ring.caches[id] == nil {
			source, err := kind.open(&cfg.Source, id.duration, t)
			if err != nil {
				return nil, err
			}
			ring.caches[id] = credcache.New(source, opts)
		}
		ring.add(ring.caches[id], r)
	}
	return ring, nil
}

func (ring *keyring) add(cache *credcache.Cache, r *routeConfig) {
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
func (ring *keyring) of(r *routeConfig) *heldKey {
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
