package cosemu

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// instanceKeysPath is where the metadata service of a CVM instance has the names
// of its roles and, below, their keys.
const roleCredentialsPath = "/latest/meta-data/cam/security-credentials/"

// instanceKeys are the keys that the metadata service is giving out, by role.
type roleCredentials struct {
	mu     sync.Mutex
	byRole map[*role]*Credentials
}

// instanceAnswer is the metadata service's answer with a key or, in Code, an
// error.
type metadataResponse struct {
	TmpSecretID  string `json:"TmpSecretId,omitempty"`
	TmpSecretKey string `json:",omitempty"`
	ExpiredTime  int64  `json:",omitempty"`
	Expiration   string `json:",omitempty"`
	Token        string `json:",omitempty"`
	Code         string
	Message      string `json:",omitempty"`
}

// serveMetadata is the metadata service, as far as it is about keys.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	s.record.metadataCall()
	if s.applySourceFault(w, r, &s.faults.metadata, writeMetadataError) {
		return
	}
	name, ok := strings.CutPrefix(r.RequestURI, roleCredentialsPath)
	switch {
	case r.Method != http.MethodGet:
		http.Error(w, "the metadata service takes GET", http.StatusMethodNotAllowed)
	case ok && name == "" && len(s.instanceRoles()) > 0:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(strings.Join(s.instanceRoles(), "\n")))
	case ok && s.instanceRole(name) != nil:
		creds := s.credentialsOf(s.instanceRole(name))
		writeJSON(w, http.StatusOK, metadataResponse{
			TmpSecretID: creds.SecretID, TmpSecretKey: creds.SecretKey, Token: creds.Token,
			ExpiredTime: creds.expires.Unix(), Expiration: creds.expires.UTC().Format(time.RFC3339), Code: "Success",
		})
	default:
		http.NotFound(w, r)
	}
}

func writeMetadataError(w http.ResponseWriter, status int, code, message string) {
	if status == 0 {
		status = http.StatusOK
	}
	writeJSON(w, status, metadataResponse{Code: code, Message: message})
}

func (s *Server) instanceRoles() []string {
	var names []string
	for _, role := range s.roles {
		if role.Instance {
			names = append(names, role.name())
		}
	}
	return names
}

func (s *Server) instanceRole(name string) *role {
	for _, role := range s.roles {
		if role.Instance && role.name() == name {
			return role
		}
	}
	return nil
}

// instanceKey returns the key that the role has now. It is renewed when a tenth
// of its life is left, and until then the same for every caller, as on an
// instance: asking again is no way to a newer key.
func (s *Server) credentialsOf(r *role) *Credentials {
	s.roleCredentials.mu.Lock()
	defer s.roleCredentials.mu.Unlock()
	lifetime := s.lifetime(roleDuration)
	creds := s.roleCredentials.byRole[r]
	if creds == nil || creds.expires.Sub(s.options.now()) <= lifetime/10 {
		creds = s.issue(lifetime, r.rights)
		s.roleCredentials.byRole[r] = creds
	}
	return creds
}
