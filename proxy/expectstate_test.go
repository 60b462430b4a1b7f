package proxy

import (
	"testing"
	"time"
)

func TestExpectState(t *testing.T) {
	const disabled = "disabled" // as a result: COS rejected Expect
	tests := []struct {
		name              string
		results           []string
		wanted, supported bool
	}{
		{"new endpoint", nil, true, false},
		{"first one ignored", []string{expectTimeout}, false, false},
		{"supported", []string{expectContinue}, true, true},
		{"early response", []string{expectVerdict}, true, true},
		{"supported, late twice", []string{expectContinue, expectTimeout, expectTimeout}, true, true},
		{"supported, late three times", []string{expectContinue, expectTimeout, expectTimeout, expectTimeout}, false, false},
		{"late between successes", []string{expectContinue, expectTimeout, expectTimeout, expectContinue, expectTimeout}, true, true},
		{"rejected", []string{expectContinue, disabled}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m expectState
			now := time.Unix(0, 0)
			for _, result := range tt.results {
				if result == disabled {
					m.disable(now)
				} else {
					m.record(result, now)
				}
			}
			if m.wanted(now) != tt.wanted || m.isSupported() != tt.supported {
				t.Errorf("wanted %v, supported %v", m.wanted(now), m.isSupported())
			}
			if !m.wanted(now.Add(expectPause)) {
				t.Error("not wanted again after the pause")
			}
		})
	}
}
