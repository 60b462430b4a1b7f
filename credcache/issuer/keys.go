package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeys limits the keys of a JWKS.
	maxKeys = 100
	// minRSABits is the minimum size of an RSA key (NIST SP 800-131A).
	minRSABits = 2048
	// loadTimeout limits one call of KeysOptions.Fetch, and how long a token waits for it.
	loadTimeout = 5 * time.Second
	// retryInterval is the time to the next attempt after a failed one.
	retryInterval = 5 * time.Second
	// maxKeysAge is the time after the last successful fetch during which keys are accepted.
	maxKeysAge = time.Hour
)

// KeysOptions configure NewKeys.
type KeysOptions struct {
	// Fetch returns the keys of the JWKS, from ParseKeys. It must return soon after ctx ends.
	// Its error is logged and must hold no secret. Required.
	Fetch func(ctx context.Context) (*KeySet, error)
	// Interval is the time between two fetches. A key that was removed from the JWKS is
	// accepted until the next successful one, at most 1 h. Zero: 10 min.
	Interval time.Duration
	// MinInterval is the minimum time between two fetches that unknown key IDs cause. Zero:
	// 30 s.
	MinInterval time.Duration
	// Logger logs changes and failures. Nil: nothing is logged.
	Logger *slog.Logger
}

// Keys are the public keys of a JWKS (RFC 7517), fetched again from time to time. If a fetch
// fails, the last keys stay in use until they are 1 h old. Call Run once.
type Keys struct {
	opts   KeysOptions
	wanted chan struct{} // asks Run for a fetch before its time

	mu     sync.Mutex
	set    *KeySet       // of the last successful fetch; empty: there was none
	err    error         // of the last fetch
	last   time.Time     // end of the last fetch
	valid  time.Time     // end of the last successful fetch
	loaded chan struct{} // closed at the end of the next fetch
}

// NewKeys returns Keys without any key. It starts no fetch.
func NewKeys(opts KeysOptions) *Keys {
	if opts.Interval == 0 {
		opts.Interval = 10 * time.Minute
	}
	if opts.MinInterval == 0 {
		opts.MinInterval = 30 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keys{opts: opts, set: new(KeySet), wanted: make(chan struct{}, 1), loaded: make(chan struct{})}
}

// Err returns nil if there are keys that are not too old, and otherwise why not.
func (k *Keys) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.set.Len() > 0 && time.Since(k.valid) < maxKeysAge:
		return nil
	case k.err != nil:
		return k.err
	}
	return errors.New("the JWKS has not been fetched yet")
}

// Run fetches the keys until ctx ends.
func (k *Keys) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-k.wanted:
		}
		next := k.opts.Interval
		if k.load(ctx) != nil {
			next = min(next, retryInterval)
		}
		timer.Reset(next)
	}
}

// load fetches the JWKS once.
func (k *Keys) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	set, err := k.opts.Fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err != nil && (k.err == nil || k.err.Error() != err.Error()):
		k.opts.Logger.Error("the JWKS cannot be used; the last keys stay in use for at most 1 h", "error.message", err)
	case err == nil && (k.err != nil || set.Len() != k.set.Len()):
		k.opts.Logger.Info("JWKS", "cosproxy.keys", set.Len())
	}
	if k.err = err; err == nil {
		k.set, k.valid = set, time.Now()
	}
	k.last = time.Now()
	close(k.loaded)
	k.loaded = make(chan struct{})
	return err
}

// find returns the keys with an ID. If there is none, it waits for one more fetch, unless the
// last one was less than MinInterval ago.
func (k *Keys) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	keys, loaded, wait := k.set.byID[id], k.loaded, time.Since(k.last) >= k.opts.MinInterval
	k.mu.Unlock()
	if keys == nil && wait {
		select {
		case k.wanted <- struct{}{}:
		default:
		}
		ctx, cancel := context.WithTimeout(ctx, loadTimeout)
		defer cancel()
		select {
		case <-loaded:
		case <-ctx.Done():
		}
		k.mu.Lock()
		keys = k.set.byID[id]
		k.mu.Unlock()
	}
	if err := k.Err(); err != nil {
		return nil, err
	}
	if keys != nil {
		return keys, nil
	}
	return nil, invalidToken("its kid is unknown; check that the JWKS is that of the cluster which issued the token")
}

// KeySet are the usable keys of a JWKS. It is immutable.
type KeySet struct{ byID map[string][]jose.JSONWebKey }

// Len returns the number of different key IDs.
func (s *KeySet) Len() int { return len(s.byID) }

// ParseKeys returns the usable keys of a JWKS: RSA keys of at least 2048 bits and
// EC keys, for signatures. Other keys, and those without an ID, are skipped, as RFC 7517, 5,
// recommends. It returns an error if no key is usable.
func ParseKeys(document []byte) (*KeySet, error) {
	var all struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(document, &all) != nil || len(all.Keys) > maxKeys {
		return nil, fmt.Errorf("it is not a JWKS of at most %d keys", maxKeys)
	}
	byID := make(map[string][]jose.JSONWebKey)
	for _, raw := range all.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usable(key) {
			byID[key.KeyID] = append(byID[key.KeyID], key)
		}
	}
	if len(byID) == 0 {
		return nil, errors.New("the JWKS has no RSA or EC key with a kid for signatures")
	}
	return &KeySet{byID}, nil
}

// usable reports whether a key may verify tokens.
func usable(key jose.JSONWebKey) bool {
	if key.KeyID == "" || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return true
	}
	return false
}
