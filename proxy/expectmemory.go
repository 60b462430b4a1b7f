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

// expectMemory remembers of one endpoint whether it heeds Expect, so that not every
// large upload waits for a server, or for one in between, that does not know it. The
// zero value knows nothing.
type expectMemory struct {
	mu       sync.Mutex
	heeded   bool
	timeouts int       // in a row
	until    time.Time // no Expect before
}

// wanted reports whether an upload should go out with Expect.
func (m *expectMemory) wanted(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !now.Before(m.until)
}

func (m *expectMemory) isHeeded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heeded
}

// note remembers what the endpoint did.
func (m *expectMemory) note(outcome string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if outcome != expectTimeout {
		m.heeded, m.timeouts = true, 0
		return
	}
	if m.timeouts++; !m.heeded || m.timeouts >= maxExpectTimeouts {
		m.pause(now)
	}
}

// refuse remembers that the endpoint refuses Expect.
func (m *expectMemory) refuse(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause(now)
}

func (m *expectMemory) pause(now time.Time) {
	m.heeded, m.timeouts, m.until = false, 0, now.Add(expectPause)
}
