package cosemu

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"time"
)

// Key is a key that the COS side knows.
type Key struct {
	SecretID  string
	SecretKey string
	// Token is the session token that must come with the key; empty for a
	// long-lived key, which must come without one.
	Token string
	// Expires is the instant from which COS refuses the key; zero means never.
	Expires time.Time
	// Policy is the CAM policy, in JSON, that limits the key; empty means that
	// it may do everything.
	Policy string

	rights rights
}

// issue makes a key that has a life and rights, and makes COS accept it.
func (s *Server) issue(life time.Duration, rs rights) *Key {
	k := &Key{
		SecretID: newSecretID(), SecretKey: newSecretKey(), Token: newToken(),
		Expires: s.options.Now().Add(life), rights: rs,
	}
	s.keys.add(k)
	s.record.issued()
	return k
}

// life is how long a key is to live of which the caller has asked for seconds.
func (s *Server) life(seconds int) time.Duration {
	return cmp.Or(s.options.KeyLife, time.Duration(seconds)*time.Second)
}

func (k *Key) expired(now time.Time) bool {
	return !k.Expires.IsZero() && !now.Before(k.Expires)
}

// AddKey makes COS accept a key that the STS has not issued: a triple for
// programs that are given their key. It fails on a policy that does not parse.
func (s *Server) AddKey(k Key) error {
	if k.SecretID == "" || k.SecretKey == "" {
		return fmt.Errorf("cosemu: a key needs SecretID and SecretKey")
	}
	var err error
	if k.rights, err = parseRights(k.Policy); err != nil {
		return fmt.Errorf("cosemu: policy of %s: %w", k.SecretID, err)
	}
	s.keys.add(&k)
	return nil
}

// Revoke makes COS forget the key, which it then refuses with
// InvalidAccessKeyId. It reports whether the key was known.
func (s *Server) Revoke(secretID string) bool { return s.keys.remove(secretID) }

// keyRing holds the keys by SecretId. A Key in it is never changed.
type keyRing struct {
	mu   sync.RWMutex
	keys map[string]*Key
}

func newKeyRing() *keyRing { return &keyRing{keys: map[string]*Key{}} }

func (r *keyRing) add(k *Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[k.SecretID] = k
}

func (r *keyRing) get(secretID string) *Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[secretID]
}

func (r *keyRing) remove(secretID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.keys[secretID]
	delete(r.keys, secretID)
	return known
}

// The shapes of generated keys are those seen in Tencent's samples: about 68
// characters of URL-safe text with the prefix AKID, 44 of base64 with its
// "/ + =", and a long URL-safe token.

func newSecretID() string { return "AKID" + base64.RawURLEncoding.EncodeToString(randomBytes(48)) }

func newSecretKey() string { return base64.StdEncoding.EncodeToString(randomBytes(32)) }

func newToken() string { return base64.RawURLEncoding.EncodeToString(randomBytes(192)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the program ends first
	return b
}
