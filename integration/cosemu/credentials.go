package cosemu

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"time"
)

// Credentials are a SecretId and its SecretKey that COS accepts: long-lived, or
// temporary with a session token.
type Credentials struct {
	SecretID  string
	SecretKey string
	// Token is the session token of temporary credentials; empty for long-lived ones.
	// A request must carry exactly this token.
	Token string
	// expires is the time from which COS rejects the credentials; zero means never.
	expires time.Time
	// Policy is the CAM policy, in JSON, that restricts the credentials; empty allows
	// everything.
	Policy string
	// Role is the ARN of the role that the credentials belong to; empty means none.
	Role string

	rights rights
}

// issue creates temporary credentials that COS accepts. role is the ARN of their role, or
// empty.
func (s *Server) issue(lifetime time.Duration, rs rights, role string) *Credentials {
	c := &Credentials{
		SecretID: newSecretID(), SecretKey: newSecretKey(), Token: newToken(), Role: role,
		expires: s.options.now().Add(lifetime), rights: rs,
	}
	s.credentials.add(c)
	s.record.credentialsIssued()
	return c
}

// lifetime is Options.CredentialsDuration or, if that is zero, the requested number of
// seconds.
func (s *Server) lifetime(seconds int) time.Duration {
	return cmp.Or(s.options.CredentialsDuration, time.Duration(seconds)*time.Second)
}

func (c *Credentials) expired(now time.Time) bool {
	return !c.expires.IsZero() && !now.Before(c.expires)
}

// AddCredentials makes COS accept credentials that no source has issued, such as the
// triple of a program with static credentials. They do not expire. It fails if
// SecretID or SecretKey is empty or the policy is invalid.
func (s *Server) AddCredentials(c Credentials) error {
	if c.SecretID == "" || c.SecretKey == "" {
		return fmt.Errorf("cosemu: credentials need SecretID and SecretKey")
	}
	var err error
	if c.rights, err = parseRights(c.Policy); err != nil {
		return fmt.Errorf("cosemu: policy of %s: %w", c.SecretID, err)
	}
	s.credentials.add(&c)
	return nil
}

// Credentials returns the credentials with this SecretId, such as those of a request in
// Requests. Its Policy is empty for issued credentials.
func (s *Server) Credentials(secretID string) (c Credentials, known bool) {
	if found := s.credentials.get(secretID); found != nil {
		return *found, true
	}
	return Credentials{}, false
}

// Revoke makes COS reject the credentials with InvalidAccessKeyId, and STS with
// AuthFailure.SecretIdNotFound. It reports whether they were known.
func (s *Server) Revoke(secretID string) bool { return s.credentials.remove(secretID) }

// credentialSet holds the credentials by SecretId. Stored Credentials are never
// changed.
type credentialSet struct {
	mu         sync.RWMutex
	bySecretID map[string]*Credentials
}

func newCredentialSet() *credentialSet { return &credentialSet{bySecretID: map[string]*Credentials{}} }

func (r *credentialSet) add(c *Credentials) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bySecretID[c.SecretID] = c
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

// Generated credentials look like those in Tencent's samples: a SecretId of about
// 68 URL-safe characters with the prefix AKID, a SecretKey of 44 base64 characters
// with their "/ + =", and a long URL-safe token.

func newSecretID() string { return "AKID" + base64.RawURLEncoding.EncodeToString(randomBytes(48)) }

func newSecretKey() string { return base64.StdEncoding.EncodeToString(randomBytes(32)) }

func newToken() string { return base64.RawURLEncoding.EncodeToString(randomBytes(192)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the program ends first
	return b
}
