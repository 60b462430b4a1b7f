package proxy

import (
	"sync"
	"time"
)

// Results of Expect: 100-continue, the label values of the metric.
const (
	expectContinue = "continue"
	expectTimeout  = "timeout"       // no response within the continue timeout
	expectVerdict  = "early_verdict" // a final response
)

const (
	// expectPause is how long the proxy sends no Expect to an endpoint that ignored or
	// rejected it.
	expectPause = 10 * time.Minute
	// maxExpectTimeouts is the number of timeouts in a row after which an endpoint that
	// supported Expect before counts as ignoring it; it may only be slow. For any other
	// endpoint, one timeout is enough.
	maxExpectTimeouts = 3
)

// expectState records whether an endpoint supports Expect, so that not every large upload
// waits in vain for 100 Continue. The zero value is an endpoint that was not tried yet.
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

// record stores the result of one Expect.
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

// disable records that the endpoint rejects Expect.
func (m *expectState) disable(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disableLocked(now)
}

func (m *expectState) disableLocked(now time.Time) {
	m.supported, m.timeouts, m.until = false, 0, now.Add(expectPause)
}
