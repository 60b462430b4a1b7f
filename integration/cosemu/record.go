package cosemu

import (
	"maps"
	"net/http"
	"net/url"
	"sync"
)

// Request is one request that COS has answered, or dropped.
type Request struct {
	Method string
	// URI is the request target as it stood on the wire.
	URI  string
	Host string
	// Header is what arrived; not to be changed.
	Header http.Header
	// Action is the COS action without "name/cos:", "" when there is none.
	Action string
	// SecretID is the key that the request claims to be signed with.
	SecretID string
	// Status is what was answered; 0 when the connection was dropped.
	Status int
	// Code is the COS error code that was answered, or "".
	Code string
}

// stsRequest is one call that has arrived at STS.
type stsRequest struct {
	// Action and Region are the common parameters: X-TC-Action and X-TC-Region
	// with AssumeRoleWithWebIdentity, form parameters otherwise.
	Action, Region string
	// Params are all that the body says, numbers as their text; not to be
	// changed.
	Params url.Values
}

// Stats counts what the servers have seen since Start.
type Stats struct {
	// COSRequests counts the requests at COS, failed ones included.
	COSRequests int
	// COSFaults counts those of them that suffered a COSFault.
	COSFaults int
	// STSCalls counts the calls at STS, failed ones included.
	STSCalls int
	// stsActions counts the same calls by the action they name.
	stsActions map[string]int
	// metadataCalls counts the requests at the metadata service, failed ones
	// included.
	metadataCalls int
	// KeyServerCalls counts the requests at the key server, failed ones included.
	credentialsServerCalls int
	// KeysIssued counts the keys that these three have made.
	CredentialsIssued int
}

// record is what the servers remember of their past.
type record struct {
	mu    sync.Mutex
	stats Stats
	cos   ring[Request]
	sts   ring[stsRequest]
}

func newRecord() *record { return &record{stats: Stats{stsActions: map[string]int{}}} }

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	stats := s.record.stats
	stats.stsActions = maps.Clone(stats.stsActions)
	return stats
}

// Requests returns the last requests at COS, at most 1024, oldest first.
func (s *Server) Requests() []Request {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return s.record.cos.all()
}

// stsRequests returns the last calls at STS, at most 1024, oldest first. A call
// is there before its fault, if it suffers one, begins.
func (s *Server) stsRequests() []stsRequest {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return s.record.sts.all()
}

func (r *record) cosRequest(x *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.COSRequests++
	r.cos.add(Request{
		Method: x.r.Method, URI: x.r.RequestURI, Host: x.r.Host, Header: x.r.Header,
		Action: x.action, SecretID: x.secretID, Status: x.status, Code: x.code,
	})
}

func (r *record) cosFault() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.COSFaults++
}

func (r *record) stsCall(call stsRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.STSCalls++
	r.stats.stsActions[call.Action]++
	r.sts.add(call)
}

func (r *record) metadataCall() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.metadataCalls++
}

func (r *record) credentialsServerCall() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.credentialsServerCalls++
}

func (r *record) credentialsIssued() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.CredentialsIssued++
}
