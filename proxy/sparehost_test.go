package proxy

import (
	"log/slog"
	"testing"
	"time"
)

func TestSpareHost_Current(t *testing.T) {
	s := &spareHost{log: slog.New(slog.DiscardHandler)}
	start := time.Now()
	expect := func(after time.Duration, mayRepeat, want bool) {
		t.Helper()
		if got := s.isCurrent(start.Add(after), mayRepeat); got != want {
			t.Errorf("after %v, mayRepeat %v: at the spare host %v, want %v", after, mayRepeat, got, want)
		}
	}
	expect(0, true, false)
	s.remember(start)
	expect(0, true, true)
	expect(spareTime-1, true, true)
	expect(spareTime, false, true) // it cannot be repeated if the main host still fails
	expect(spareTime, true, false) // tries the main host
	expect(spareTime, true, true)  // the others do not
	expect(spareTime+spareProbe-1, true, true)
	expect(spareTime+spareProbe, true, false)
	s.remember(start.Add(spareTime))
	s.forget(start) // a response to an earlier request
	expect(2*spareTime, false, true)
	expect(3*spareTime, false, false) // nothing else tried the main host
	s.forget(start.Add(3 * spareTime))
	expect(3*spareTime, true, false)
	expect(3*spareTime, true, false)
}
