package cosemu

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// COSFault makes requests at COS fail. The zero value does nothing.
type COSFault struct {
	// Times is the number of requests that fail; zero means all until the fault is
	// replaced.
	Times int
	// OneIn selects one in OneIn requests at random, of those that Match selects; zero
	// means all. The same Seed selects the same requests, by their order.
	OneIn int
	Seed  uint64
	// Match selects the requests; nil means all. It must not call the Server.
	Match func(*http.Request) bool
	// Delay is the time before COS handles the request. It ends early if the client
	// disconnects or the server closes.
	Delay time.Duration
	// Status, Code and Message are the response, if Status is not 0. COS sends it
	// before it verifies the request and reads its body.
	Status        int
	Code, Message string
	// Drop closes the connection without a response.
	Drop bool
	// CutAfter, if positive, closes the connection of a download after this number of
	// bytes of its body.
	CutAfter int64
	// slow makes CompleteMultipartUpload and copies respond with 200 at once, send a
	// space every 10 ms for this time, and only then the XML, as COS does while it is
	// still working. An error then comes inside the 200.
	slow time.Duration
}

// faults are the active faults.
type faults struct {
	mu     sync.Mutex
	cos    COSFault
	random *rand.Rand // for cos.OneIn

	sts, metadata, credentialsServer sourceFaults

	closing context.Context // done when the server closes
}

// SetCOSFault replaces the fault at COS; the zero COSFault removes it.
func (s *Server) SetCOSFault(f COSFault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.cos, s.faults.random = f, rand.New(rand.NewPCG(f.Seed, 0))
}

// active reports whether f does anything.
func (f COSFault) active() bool {
	return f.Delay > 0 || f.Status != 0 || f.Drop || f.CutAfter > 0 || f.slow > 0
}

// nextCOS returns the fault of r.
func (f *faults) nextCOS(r *http.Request) COSFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := f.cos
	if fault.Match != nil && !fault.Match(r) {
		return COSFault{}
	}
	if fault.OneIn > 0 && f.random.IntN(fault.OneIn) != 0 {
		return COSFault{}
	}
	if f.cos.Times > 0 {
		if f.cos.Times--; f.cos.Times == 0 {
			f.cos = COSFault{}
		}
	}
	return fault
}

// wait waits for d. It returns false if the client of r disconnected or the server
// closed first.
func (f *faults) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-f.closing.Done():
	}
	return false
}

// applyFault applies the active fault to x.
func (x *exchange) applyFault() error {
	if x.fault = x.s.faults.nextCOS(x.r); x.fault.active() {
		x.s.record.cosFault()
	}
	if !x.s.faults.wait(x.r, x.fault.Delay) || x.fault.Drop {
		panic(http.ErrAbortHandler)
	}
	if x.fault.Status != 0 {
		return cosErrorf(x.fault.Status, x.fault.Code, "%s", x.fault.Message)
	}
	return nil
}
