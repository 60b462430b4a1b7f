package cosemu

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// roleCredentialsPath is the path of the role names at the metadata service of a CVM
// instance. The credentials of a role are below it.
const roleCredentialsPath = "/latest/meta-data/cam/security-credentials/"

// roleCredentials holds the credentials that the metadata service returns for each
// role.
type roleCredentials struct {
	mu     sync.Mutex
	byRole map[*role]*Credentials
}

// metadataResponse holds credentials or, in Code, an error.
type metadataResponse struct {
	TmpSecretID  string `json:"TmpSecretId,omitempty"`
	TmpSecretKey string `json:",omitempty"`
	ExpiredTime  int64  `json:",omitempty"`
	Expiration   string `json:",omitempty"`
	Token        string `json:",omitempty"`
	Code         string
	Message      string `json:",omitempty"`
}

// serveMetadata is the part of the metadata service that returns credentials.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	s.record.metadataCall()
	if s.applySourceFault(w, r, &s.faults.metadata, "", writeMetadataError) {
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

// credentialsOf returns the current credentials of the role. As on an instance, they
// are the same for every caller until a tenth of their lifetime is left, so a repeated
// call does not yield newer ones.
func (s *Server) credentialsOf(r *role) *Credentials {
	s.roleCredentials.mu.Lock()
	defer s.roleCredentials.mu.Unlock()
	lifetime := s.lifetime(roleDuration)
	creds := s.roleCredentials.byRole[r]
	if creds == nil || creds.expires.Sub(s.options.now()) <= lifetime/10 {
		creds = s.issue(lifetime, r.rights, r.ARN)
		s.roleCredentials.byRole[r] = creds
	}
	return creds
}
