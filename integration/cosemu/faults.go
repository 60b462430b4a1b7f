package cosemu

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// COSFault is something that goes wrong at COS. The zero value does nothing.
type COSFault struct {
	// Times is how many requests suffer the fault; zero means every one until
	// the fault is replaced.
	Times int
	// OneIn picks one request in so many at random, of those that Match leaves;
	// zero means every one. The same Seed picks the same ones, by their order.
	OneIn int
	Seed  uint64
	// Match picks the requests; nil means all. It must not call the Server.
	Match func(*http.Request) bool
	// Delay passes before the request is looked at. It ends early when the
	// client leaves or the server closes.
	Delay time.Duration
	// Status, Code and Message, when Status is set, are the answer, given before
	// the request is verified and its body read.
	Status        int
	Code, Message string
	// Drop breaks the connection instead of answering.
	Drop bool
	// CutAfter, when positive, breaks a download's connection after so many
	// bytes of its body.
	CutAfter int64
	// slow makes CompleteMultipartUpload and copies answer 200 at once, send a
	// space every 10 ms for so long, and only then the XML, as COS does while it
	// is still working. An error then comes inside the 200.
	slow time.Duration
}

// faults are those in force.
type faults struct {
	mu     sync.Mutex
	cos    COSFault
	random *rand.Rand // for cos.OneIn

	sts, metadata, credentialsServer sourceFaults

	closing context.Context // done when the server closes
}

// SetCOSFault replaces the fault at COS; the zero COSFault ends it.
func (s *Server) SetCOSFault(f COSFault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.cos, s.faults.random = f, rand.New(rand.NewPCG(f.Seed, 0))
}

// happens reports whether f does anything.
func (f COSFault) active() bool {
	return f.Delay > 0 || f.Status != 0 || f.Drop || f.CutAfter > 0 || f.slow > 0
}

// takeCOS returns the fault that r suffers.
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

// wait lets d pass. It reports false when the client of r left or the server
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

// suffer lets the fault in force happen to x.
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
