package issuer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache/issuer"
)

// server is a JWKS that changes.
type server struct {
	document atomic.Pointer[[]byte] // nil: unreachable
	fetches  atomic.Int32
	delay    atomic.Int64
}

func (s *server) serve(keys ...map[string]any) {
	document := jwks(keys...)
	s.document.Store(&document)
}

func (s *server) fetch(ctx context.Context) ([]byte, error) {
	s.fetches.Add(1)
	select {
	case <-time.After(time.Duration(s.delay.Load())):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	document := s.document.Load()
	if document == nil {
		return nil, errors.New("connection refused")
	}
	return *document, nil
}

// accepts reports whether v accepts a new token that k signed.
func accepts(t *testing.T, v *issuer.JWT, k *key) bool {
	t.Helper()
	_, err := v.Caller(t.Context(), k.sign(t, claims(), nil))
	return err == nil
}

// inBubble runs test in virtual time with a JWT over the keys of a server.
func inBubble(t *testing.T, s *server, test func(t *testing.T, keys *issuer.Keys, v *issuer.JWT)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		keys := startKeys(t, s.fetch)
		test(t, keys, newJWT(t, keys))
	})
}

func TestKeys_Rotation(t *testing.T) {
	old, next := newECKey(t, "old"), newECKey(t, "next")
	s := new(server)
	s.serve(old.jwk())
	inBubble(t, s, func(t *testing.T, _ *issuer.Keys, v *issuer.JWT) {
		if !accepts(t, v, old) || accepts(t, v, next) {
			t.Error("the first keys are wrong")
		}
		s.serve(old.jwk(), next.jwk())
		if time.Sleep(29 * time.Second); accepts(t, v, next) {
			t.Error("an unknown kid caused a fetch within 30 s")
		}
		if time.Sleep(2 * time.Second); !accepts(t, v, next) || !accepts(t, v, old) {
			t.Error("an unknown kid did not cause a fetch after 30 s")
		}
		s.serve(next.jwk())
		if time.Sleep(11 * time.Minute); accepts(t, v, old) || !accepts(t, v, next) {
			t.Error("a removed key is accepted after 10 min")
		}
	})
}

// Tokens with unknown key IDs must not become a storm of fetches.
func TestKeys_UnknownIDs(t *testing.T) {
	known, unknown := newECKey(t, "known"), newECKey(t, "unknown")
	s := new(server)
	s.serve(known.jwk())
	inBubble(t, s, func(t *testing.T, _ *issuer.Keys, v *issuer.JWT) {
		for range 600 {
			if accepts(t, v, unknown) {
				t.Fatal("an unknown key is accepted")
			}
			time.Sleep(time.Second)
		}
		if n := s.fetches.Load(); n > 22 {
			t.Errorf("%d fetches in 10 min, want at most one for every 30 s", n)
		}
	})
}

func TestKeys_Outage(t *testing.T) {
	known := newECKey(t, "known")
	s := new(server)
	inBubble(t, s, func(t *testing.T, keys *issuer.Keys, v *issuer.JWT) {
		if err := keys.Err(); err == nil {
			t.Error("no error before the first fetch")
		}
		_, err := v.Caller(t.Context(), known.sign(t, claims(), nil))
		var invalid *issuer.TokenError
		if err == nil || errors.As(err, &invalid) || err.Error() != "connection refused" {
			t.Errorf("got %v", err)
		}
		s.serve(known.jwk())
		if time.Sleep(6 * time.Second); !accepts(t, v, known) || keys.Err() != nil {
			t.Error("no retry within 6 s")
		}
		s.document.Store(nil)
		if time.Sleep(59 * time.Minute); !accepts(t, v, known) || keys.Err() != nil {
			t.Error("the last keys are not in use during an outage")
		}
		time.Sleep(2 * time.Minute)
		if _, err := v.Caller(t.Context(), known.sign(t, claims(), nil)); err == nil || errors.As(err, &invalid) || keys.Err() == nil {
			t.Errorf("the keys are in use after 1 h: %v", err)
		}
		s.serve(known.jwk())
		if time.Sleep(6 * time.Second); !accepts(t, v, known) || keys.Err() != nil {
			t.Error("the keys are not in use after the outage")
		}
	})
}

// A server that hangs delays a token by 5 s at most.
func TestKeys_Hanging(t *testing.T) {
	known, unknown := newECKey(t, "known"), newECKey(t, "unknown")
	s := new(server)
	s.serve(known.jwk())
	inBubble(t, s, func(t *testing.T, _ *issuer.Keys, v *issuer.JWT) {
		accepts(t, v, known)
		s.delay.Store(int64(time.Hour))
		time.Sleep(time.Minute)
		start := time.Now()
		if accepts(t, v, unknown) || time.Since(start) > 5*time.Second {
			t.Errorf("took %v", time.Since(start))
		}
		start = time.Now()
		if !accepts(t, v, known) || time.Since(start) > 0 {
			t.Errorf("a known key took %v", time.Since(start))
		}
	})
}

// A fetch that fails is repeated after 5 s, whatever the interval and however many tokens have
// unknown key IDs.
func TestKeys_Retry(t *testing.T) {
	for _, interval := range []time.Duration{10 * time.Second, 10 * time.Minute} { // of a file, and of a URL
		synctest.Test(t, func(t *testing.T) {
			s, known := new(server), newECKey(t, "known")
			keys := issuer.NewKeys(issuer.KeysOptions{Fetch: parsed(s.fetch), Interval: interval, MinInterval: 30 * time.Second})
			go keys.Run(t.Context())
			v := newJWT(t, keys)
			for range 58 {
				time.Sleep(time.Second)
				if accepts(t, v, known) {
					t.Fatal("a key is accepted without a JWKS")
				}
			}
			if n := s.fetches.Load(); n != 12 {
				t.Errorf("%d fetches in 1 min of failures, want 12", n)
			}
			s.serve(known.jwk())
			if time.Sleep(6 * time.Second); !accepts(t, v, known) {
				t.Error("no retry within 5 s")
			}
			for before := s.fetches.Load(); s.fetches.Load() == before; {
				time.Sleep(time.Second)
			}
			before := s.fetches.Load()
			if time.Sleep(interval - 2*time.Second); s.fetches.Load() != before {
				t.Error("a fetch before the interval after a successful one")
			}
			if time.Sleep(3 * time.Second); s.fetches.Load() != before+1 {
				t.Errorf("no fetch after %v", interval)
			}
		})
	}
}

// A fetch is canceled after 5 s, and the next one follows after 5 more.
func TestKeys_Timeout(t *testing.T) {
	s := new(server)
	s.serve(newECKey(t, "known").jwk())
	s.delay.Store(int64(time.Hour))
	inBubble(t, s, func(t *testing.T, keys *issuer.Keys, _ *issuer.JWT) {
		time.Sleep(time.Minute - time.Second)
		if n := s.fetches.Load(); n != 6 || !errors.Is(keys.Err(), context.DeadlineExceeded) {
			t.Errorf("%d fetches in 1 min, want 6; %v", n, keys.Err())
		}
	})
}
