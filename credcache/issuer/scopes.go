package issuer

import (
	"context"
	"sync"
	"time"

	"cosproxy/credcache"
)

const (
	// minHold is how long a request keeps a scope, even if there are no credentials for it.
	// So a caller whose scopes STS rejects uses up its MaxScopes too.
	minHold = 5 * time.Minute
	// sweepInterval is the time between two searches for scopes without holders.
	sweepInterval = time.Minute
)

// scopes limits the scopes of each caller, and forgets those that no caller holds. A caller
// holds a scope until the last credentials that it got for it expire: a running client
// refreshes them before. So at most max scopes for each caller are renewed at any time.
type scopes struct {
	max int

	mu      sync.Mutex
	all     map[scopeID]*heldScope
	callers map[string]map[*heldScope]time.Time // the end of each hold
}

// scopeID identifies a scope in a cache.
type scopeID struct {
	cache *credcache.Cache
	scope string // its ID
}

type heldScope struct {
	id       scopeID
	scope    credcache.Scope
	provider *credcache.Provider
	holders  int
}

func newScopes(limit int) *scopes {
	return &scopes{max: limit, all: make(map[scopeID]*heldScope), callers: make(map[string]map[*heldScope]time.Time)}
}

// acquire lets the caller hold a canonical scope. If the caller already holds max others, it
// returns nil and how long the first of them is still held.
func (s *scopes) acquire(caller string, cache *credcache.Cache, scope credcache.Scope) (held *heldScope, wait time.Duration) {
	id := scopeID{cache, scope.ID()}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	held = s.all[id]
	own := s.callers[caller]
	if _, known := own[held]; !known && len(own) >= s.max {
		if s.release(caller, now); len(own) >= s.max {
			return nil, untilFirst(own, now)
		}
		held = s.all[id]
	}
	if own = s.callers[caller]; own == nil {
		own = make(map[*heldScope]time.Time)
		s.callers[caller] = own
	}
	if held == nil {
		held = &heldScope{id: id, scope: scope, provider: cache.For(scope)}
		s.all[id] = held
	}
	end, known := own[held]
	if !known {
		held.holders++
	}
	own[held] = later(end, now.Add(minHold))
	return held, 0
}

// extend lets the caller hold the scope until end, if it still holds it.
func (s *scopes) extend(caller string, held *heldScope, end time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, known := s.callers[caller][held]; known {
		s.callers[caller][held] = later(before, end)
	}
}

// release ends the holds of a caller that are over. s.mu is held.
func (s *scopes) release(caller string, now time.Time) {
	own := s.callers[caller]
	for held, end := range own {
		if now.Before(end) {
			continue
		}
		delete(own, held)
		if held.holders--; held.holders == 0 {
			delete(s.all, held.id)
			held.id.cache.Forget(held.scope)
		}
	}
	if len(own) == 0 {
		delete(s.callers, caller)
	}
}

// run releases scopes until ctx ends.
func (s *scopes) run(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.mu.Lock()
			for caller := range s.callers {
				s.release(caller, now)
			}
			s.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

func untilFirst(own map[*heldScope]time.Time, now time.Time) time.Duration {
	var first time.Time
	for _, end := range own {
		if first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first.Sub(now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
