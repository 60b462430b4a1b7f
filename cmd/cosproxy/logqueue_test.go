package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stalling is a writer that blocks until it is resumed, and fails while failing is set.
type stalling struct {
	resumed chan struct{}
	failing bool
	writes  []string
}

func (s *stalling) Write(p []byte) (int, error) {
	<-s.resumed
	if s.failing {
		return 0, errors.New("no reader")
	}
	s.writes = append(s.writes, string(p))
	return len(p), nil
}

// queueOn returns a queue for w that reports missing lines as text.
func queueOn(w io.Writer) *logQueue {
	q := newLogQueue(w)
	q.logger(new(config))
	return q
}

func line(i, length int) string {
	return fmt.Sprintf("%06d ", i) + strings.Repeat("x", length-8) + "\n"
}

func TestLogQueue_FullDropsAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalling{resumed: make(chan struct{})}
		q := queueOn(w)
		const length, more = 1024, 10
		var want strings.Builder
		fmt.Fprint(q, line(0, length)) // removed from the queue, but not written
		want.WriteString(line(0, length))
		synctest.Wait()
		for i := range logQueueBytes/length + more {
			fmt.Fprint(q, line(i+1, length))
			if i < logQueueBytes/length {
				want.WriteString(line(i+1, length))
			}
		}
		close(w.resumed)
		synctest.Wait()
		fmt.Fprint(q, "flows again\n")
		q.close()
		got := strings.Join(w.writes, "")
		before, report, _ := strings.Cut(got, "time=")
		if before != want.String() {
			t.Errorf("before the report are %d bytes, want %d", len(before), want.Len())
		}
		if !strings.Contains(report, "level=WARN") || !strings.HasSuffix(report, " cosproxy.log_lines_dropped=10\nflows again\n") || strings.Contains(report, "time=") {
			t.Errorf("the report is %q", report)
		}
		if q.dropped != more {
			t.Errorf("counted %d, want %d", q.dropped, more)
		}
	})
}

// TestLogQueue_WriterFails checks that lines are dropped, counted and reported after a
// failed write.
func TestLogQueue_WriterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalling{resumed: make(chan struct{}), failing: true}
		close(w.resumed)
		q := queueOn(w)
		for range 3 {
			fmt.Fprint(q, "lost\n")
			synctest.Wait()
		}
		w.failing = false
		fmt.Fprint(q, "kept\n")
		synctest.Wait()
		fmt.Fprint(q, "last\n")
		q.close()
		if got := strings.Join(w.writes, ""); !strings.HasPrefix(got, "kept\ntime=") || !strings.HasSuffix(got, " cosproxy.log_lines_dropped=3\nlast\n") {
			t.Errorf("written: %q", got)
		}
		if q.dropped != 3 || q.missing != 0 {
			t.Errorf("counted %d, and %d are still to be reported", q.dropped, q.missing)
		}
	})
}

// TestLogQueue_CloseIsBounded checks that close flushes the queue within its time limit.
func TestLogQueue_CloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalling{resumed: make(chan struct{})}
		q := queueOn(w)
		fmt.Fprint(q, "stuck\n")
		begun := time.Now()
		q.close()
		if took := time.Since(begun); took != logFlushTimeout {
			t.Errorf("close took %v, want %v", took, logFlushTimeout)
		}
		fmt.Fprint(q, "too late\n")
		close(w.resumed)
		synctest.Wait()
		if !slices.Equal(w.writes, []string{"stuck\n"}) {
			t.Errorf("written: %q", w.writes)
		}
	})
}

// TestLogQueue_WritesWholeLines checks that writes consist of complete lines and are not
// longer than PIPE_BUF.
func TestLogQueue_WritesWholeLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalling{resumed: make(chan struct{})}
		q := queueOn(w)
		var want bytes.Buffer
		fmt.Fprint(io.MultiWriter(q, &want), "first\n")
		synctest.Wait()
		for i, length := range []int{100, 4000, 50, 50, 4096, 9000, 20, 2000, 2000, 100} {
			fmt.Fprint(io.MultiWriter(q, &want), line(i, length))
		}
		fmt.Fprint(io.MultiWriter(q, &want), "no newline")
		close(w.resumed)
		q.close()
		if got := strings.Join(w.writes, ""); got != want.String() {
			t.Errorf("%d bytes were written, want %d", len(got), want.Len())
		}
		for _, p := range w.writes[:len(w.writes)-1] {
			if !strings.HasSuffix(p, "\n") || len(p) > logWriteBytes && strings.Count(p, "\n") != 1 {
				t.Errorf("one write of %d bytes with %d lines: ends in %q", len(p), strings.Count(p, "\n"), p[len(p)-1:])
			}
		}
		if n := len(w.writes); n != 9 {
			t.Errorf("%d writes, want 9", n)
		}
	})
}

// TestLogQueue_ReportFormat checks that the report has the configured format and is
// written at every log level.
func TestLogQueue_ReportFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stalling{resumed: make(chan struct{})}
		close(w.resumed)
		q := newLogQueue(w)
		q.logger(&config{LogFormat: "json", LogLevel: slog.LevelError})
		fmt.Fprint(q, strings.Repeat("x", logQueueBytes)+"\n") // too long
		q.close()
		if got := strings.Join(w.writes, ""); !strings.HasPrefix(got, `{"time":`) || !strings.HasSuffix(got, `"cosproxy.log_lines_dropped":1}`+"\n") {
			t.Errorf("written: %q", got)
		}
	})
}
