package cosemu

import (
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// SourceFault makes calls at a source of credentials fail: STS, the metadata service
// or the credentials server. The zero value does nothing.
type SourceFault struct {
	// Action limits the fault to the calls of one action of STS; empty means all calls.
	Action string
	// Times is the number of calls that fail; zero means all until the fault is
	// replaced.
	Times int
	// Percent of the calls fail, selected at random but in the same order each time
	// that a fault is set; zero means all.
	Percent int
	// Delay is the time before the response. It ends early if the client disconnects
	// or the server closes.
	Delay time.Duration
	// Drop closes the connection without a response.
	Drop bool
	// Code and Message, if Code is set, are the response, in the error form of the
	// service.
	Code, Message string
	// Status is the HTTP status; zero means the usual one for errors of the service:
	// 200 at STS and the metadata service, 500 at the credentials server.
	Status int
	// Body, if not nil, is the response as it is, with 200 unless Status is set.
	Body *string
}

// SetSTSFault replaces the fault at STS; the zero SourceFault removes it.
func (s *Server) SetSTSFault(f SourceFault) { s.faults.sts.set(f) }

// setMetadataFault replaces the fault at the metadata service.
func (s *Server) setMetadataFault(f SourceFault) { s.faults.metadata.set(f) }

// setCredentialsServerFault replaces the fault at the credentials server.
func (s *Server) setCredentialsServerFault(f SourceFault) { s.faults.credentialsServer.set(f) }

// sourceFaults holds the active fault of one service.
type sourceFaults struct {
	mu     sync.Mutex
	fault  SourceFault
	random *rand.Rand
}

func (k *sourceFaults) set(f SourceFault) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fault, k.random = f, rand.New(rand.NewPCG(0, 0))
}

// next returns the fault of the next call, which has this action of STS or none.
func (k *sourceFaults) next(action string) SourceFault {
	k.mu.Lock()
	defer k.mu.Unlock()
	fault := k.fault
	if fault.Action != "" && fault.Action != action {
		return SourceFault{}
	}
	if fault.Percent > 0 && k.random.IntN(100) >= fault.Percent {
		return SourceFault{}
	}
	if fault.Times > 0 {
		if k.fault.Times--; k.fault.Times == 0 {
			k.fault = SourceFault{}
		}
	}
	return fault
}

// replacesResponse reports whether the fault is a response.
func (f SourceFault) replacesResponse() bool { return f.Code != "" || f.Status != 0 || f.Body != nil }

// errorWriter writes an error in the form of a service. Status 0 means the usual one.
type errorWriter func(w http.ResponseWriter, status int, code, message string)

// applySourceFault applies the active fault to r, a call of this action of STS or none. It
// reports whether it has sent the response.
func (s *Server) applySourceFault(w http.ResponseWriter, r *http.Request, in *sourceFaults, action string, fail errorWriter) bool {
	fault := in.next(action)
	if !s.faults.wait(r, fault.Delay) || fault.Drop {
		panic(http.ErrAbortHandler)
	}
	switch {
	case !fault.replacesResponse():
		return false
	case fault.Body == nil:
		fail(w, fault.Status, fault.Code, fault.Message)
	default:
		if fault.Status != 0 {
			w.WriteHeader(fault.Status)
		}
		_, _ = io.WriteString(w, *fault.Body)
	}
	return true
}
