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
type Credentials struct {
	SecretID  string
	SecretKey string
	// Token is the session token that must come with the key; empty for a
	// long-lived key, which must come without one.
	Token string
	// expires is the time from which COS rejects the credentials; zero means never.
	expires time.Time
	// Policy is the CAM policy, in JSON, that limits the key; empty means that
	// it may do everything.
	Policy string

	rights rights
}

// issue makes a key that has a life and rights, and makes COS accept it.
func (s *Server) issue(lifetime time.Duration, rs rights) *Credentials {
	k := &Credentials{
		SecretID: newSecretID(), SecretKey: newSecretKey(), Token: newToken(),
		expires: s.options.now().Add(lifetime), rights: rs,
	}
	s.credentials.add(k)
	s.record.credentialsIssued()
	return k
}

// life is how long a key is to live of which the caller has asked for seconds.
func (s *Server) lifetime(seconds int) time.Duration {
	return cmp.Or(s.options.CredentialsDuration, time.Duration(seconds)*time.Second)
}

func (k *Credentials) expired(now time.Time) bool {
	return !k.expires.IsZero() && !now.Before(k.expires)
}

// AddKey makes COS accept a key that the STS has not issued: a triple for
// programs that are given their key. It fails on a policy that does not parse.
func (s *Server) AddCredentials(k Credentials) error {
	if k.SecretID == "" || k.SecretKey == "" {
		return fmt.Errorf("cosemu: a key needs SecretID and SecretKey")
	}
	var err error
	if k.rights, err = parseRights(k.Policy); err != nil {
		return fmt.Errorf("cosemu: policy of %s: %w", k.SecretID, err)
	}
	s.credentials.add(&k)
	return nil
}

// Revoke makes COS forget the key, which it then refuses with
// InvalidAccessKeyId. It reports whether the key was known.
func (s *Server) Revoke(secretID string) bool { return s.credentials.remove(secretID) }

// keyRing holds the keys by SecretId. A Key in it is never changed.
type credentialSet struct {
	mu         sync.RWMutex
	bySecretID map[string]*Credentials
}

func newCredentialSet() *credentialSet { return &credentialSet{bySecretID: map[string]*Credentials{}} }

func (r *credentialSet) add(k *Credentials) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bySecretID[k.SecretID] = k
}

func (r *credentialSet) get(secretID string) *Credentials {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.bySecretID[secretID]
}

func (r *credentialSet) remove(secretID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.bySecretID[secretID]
	delete(r.bySecretID, secretID)
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
