package cosemu

import (
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// KeyFault is something that goes wrong where keys come from: at STS, the
// metadata service or the key server. The zero value does nothing.
type SourceFault struct {
	// Times is how many calls suffer the fault; zero means every one until the
	// fault is replaced.
	Times int
	// Percent of the calls suffer the fault, picked at random but in the same
	// order each time that a fault is set; zero means all of them.
	Percent int
	// Delay passes before the answer. It ends early when the client leaves or
	// the server closes.
	Delay time.Duration
	// Drop breaks the connection instead of answering.
	Drop bool
	// Code and Message, when Code is set, are answered in the error form of the
	// service.
	Code, Message string
	// Status is the HTTP status; zero means the one that the service gives with
	// errors: 200 at STS and the metadata service, 500 at the key server.
	Status int
	// Body, when not nil, is answered as it is, with 200 unless Status is set.
	Body *string
}

// SetSTSFault replaces the fault at STS; the zero KeyFault ends it.
func (s *Server) SetSTSFault(f SourceFault) { s.faults.sts.set(f) }

// setMetadataFault replaces the fault at the metadata service; the zero KeyFault
// ends it.
func (s *Server) setMetadataFault(f SourceFault) { s.faults.metadata.set(f) }

// SetKeyServerFault replaces the fault at the key server; the zero KeyFault ends
// it.
func (s *Server) setCredentialsServerFault(f SourceFault) { s.faults.credentialsServer.set(f) }

// keyFaults holds the fault in force at one service.
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

// take returns the fault that the next call suffers.
func (k *sourceFaults) next() SourceFault {
	k.mu.Lock()
	defer k.mu.Unlock()
	fault := k.fault
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

// answers reports whether the fault takes the place of the answer.
func (f SourceFault) replacesResponse() bool { return f.Code != "" || f.Status != 0 || f.Body != nil }

// errorForm answers an error as a service does. Status 0 means its usual one.
type errorWriter func(w http.ResponseWriter, status int, code, message string)

// keyFault lets the fault in force happen to r. It reports whether that was the
// answer.
func (s *Server) applySourceFault(w http.ResponseWriter, r *http.Request, in *sourceFaults, fail errorWriter) bool {
	fault := in.next()
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
