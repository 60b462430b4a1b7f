package proxy

import (
	"sync"
	"time"
)

// What an endpoint does about Expect: 100-continue, as the metric has it.
const (
	expectContinue = "continue"
	expectTimeout  = "timeout" // nothing for continueTimeout
	expectVerdict  = "early_verdict"
)

const (
	// expectPause is how long no Expect is sent to an endpoint that ignores or
	// refuses it.
	expectPause = 10 * time.Minute
	// maxExpectTimeouts in a row make an endpoint one that ignores Expect if it has
	// heeded it before: it may only be slow. Otherwise the first one does.
	maxExpectTimeouts = 3
)

// expectState remembers of one endpoint whether it heeds Expect, so that not every
// large upload waits for a server, or for one in between, that does not know it. The
// zero value knows nothing.
type expectState struct {
	mu        sync.Mutex
	supported bool
	timeouts  int       // in a row
	until     time.Time // no Expect before
}

// wanted reports whether an upload should go out with Expect.
func (m *expectState) wanted(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !now.Before(m.until)
}

func (m *expectState) isSupported() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.supported
}

// record remembers what the endpoint did.
func (m *expectState) record(outcome string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if outcome != expectTimeout {
		m.supported, m.timeouts = true, 0
		return
	}
	if m.timeouts++; !m.supported || m.timeouts >= maxExpectTimeouts {
		m.disableLocked(now)
	}
}

// refuse remembers that the endpoint refuses Expect.
func (m *expectState) disable(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disableLocked(now)
}

func (m *expectState) disableLocked(now time.Time) {
	m.supported, m.timeouts, m.until = false, 0, now.Add(expectPause)
}
