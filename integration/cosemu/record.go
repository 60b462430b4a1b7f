package cosemu

import (
	"maps"
	"net/http"
	"net/url"
	"sync"
)

// Request is one request at COS that has a response or was dropped.
type Request struct {
	Method string
	// URI is the raw request target.
	URI  string
	Host string
	// Header holds the header fields of the request. Do not modify it.
	Header http.Header
	// Dialect is that of the signature, valid or not.
	Dialect Dialect
	// Action is the COS action without "name/cos:", or "" if COS has no such action.
	Action string
	// SecretID is the SecretId that the request claims to be signed with.
	SecretID string
	// Status is the status of the response; 0 if the connection was dropped.
	Status int
	// Code is the COS error code of the response, or "".
	Code string
}

// stsRequest is one call at STS.
type stsRequest struct {
	// Action and Region are the common parameters: X-TC-Action and X-TC-Region
	// with AssumeRoleWithWebIdentity, form parameters otherwise.
	Action, Region string
	// Params are the parameters in the body, with numbers as text. Do not modify them.
	Params url.Values
}

// Stats counts requests since Start.
type Stats struct {
	// COSRequests counts the requests at COS, including failed ones.
	COSRequests int
	// COSFaults counts the requests with an active COSFault.
	COSFaults int
	// STSCalls counts the calls at STS, including failed ones.
	STSCalls int
	// STSActions counts the same calls by action.
	STSActions map[string]int
	// metadataCalls counts the requests at the metadata service, including failed
	// ones.
	metadataCalls int
	// credentialsServerCalls counts the requests at the credentials server, including
	// failed ones.
	credentialsServerCalls int
	// CredentialsIssued counts the credentials that STS, the metadata service and the
	// credentials server have issued.
	CredentialsIssued int
}

// record holds the recent requests and the counters.
type record struct {
	mu    sync.Mutex
	stats Stats
	cos   ring[Request]
	sts   ring[stsRequest]
}

func newRecord() *record { return &record{stats: Stats{STSActions: map[string]int{}}} }

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	stats := s.record.stats
	stats.STSActions = maps.Clone(stats.STSActions)
	return stats
}

// Requests returns the last requests at COS, at most 1024, oldest first.
func (s *Server) Requests() []Request {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return s.record.cos.all()
}

// stsRequests returns the last calls at STS, at most 1024, oldest first. A call is
// recorded before its fault starts.
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
		Method: x.r.Method, URI: x.r.RequestURI, Host: x.r.Host, Header: x.wire, Dialect: x.dialect,
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
	r.stats.STSActions[call.Action]++
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
