package cosemu

import (
	"net/http"
	"slices"
	"sync"
)

// recordedRequests is how many requests Requests remembers.
const recordedRequests = 1024

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

// Stats counts what the servers have seen since Start.
type Stats struct {
	// COSRequests counts the requests at COS, failed ones included.
	COSRequests int
	// STSCalls counts the calls at STS, failed ones included.
	STSCalls int
	// KeysIssued counts the keys that STS has given out.
	KeysIssued int
}

// record is what the servers remember of their past.
type record struct {
	mu       sync.Mutex
	stats    Stats
	requests []Request // a ring once full
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return s.record.stats
}

// Requests returns the last requests at COS, at most 1024, oldest first.
func (s *Server) Requests() []Request {
	r := &s.record
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) < recordedRequests {
		return slices.Clone(r.requests)
	}
	oldest := r.stats.COSRequests % recordedRequests
	return slices.Concat(r.requests[oldest:], r.requests[:oldest])
}

func (r *record) cos(x *exchange) {
	request := Request{
		Method: x.r.Method, URI: x.r.RequestURI, Host: x.r.Host, Header: x.r.Header,
		Action: x.action, SecretID: x.secretID, Status: x.status, Code: x.code,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) < recordedRequests {
		r.requests = append(r.requests, request)
	} else {
		r.requests[r.stats.COSRequests%recordedRequests] = request
	}
	r.stats.COSRequests++
}

func (r *record) sts(issued bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.STSCalls++
	if issued {
		r.stats.KeysIssued++
	}
}
