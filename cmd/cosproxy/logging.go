package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// logQueueBytes limits the size of the queue.
	logQueueBytes = 1 << 20
	// logWriteBytes is the maximum size of a write, except for longer lines. Writes to
	// a pipe of up to this size are atomic (PIPE_BUF on Linux, pipe(7)).
	logWriteBytes = 4096
	// logFlushTimeout limits the time for writing the queue when the process ends.
	logFlushTimeout = time.Second
)

// logger returns a logger that writes to w in the configured format.
func (c *config) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// logQueue is a writer for logs that never blocks and never fails. One goroutine writes
// the queued lines to w. Lines that do not fit in the queue, or that w fails to write, are
// dropped and counted. When w accepts lines again, a line reports how many are missing.
// Use newLogQueue; the zero value is not usable.
type logQueue struct {
	w     io.Writer
	wake  chan struct{} // wakes the goroutine; buffered, one element
	ended chan struct{}

	mu      sync.Mutex
	pending []byte       // complete lines
	missing int          // lines dropped since the last report
	dropped int          // total of dropped lines
	report  slog.Handler // writes to w; nil disables reports
	closed  bool
}

// newLogQueue starts a queue for w. The caller must close it.
func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{w: w, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// logger returns a logger that writes to the queue in the configured format.
func (q *logQueue) logger(c *config) *slog.Logger {
	q.mu.Lock()
	q.report = c.logger(q.w).Handler()
	q.mu.Unlock()
	return c.logger(q)
}

// Write implements io.Writer. p must consist of complete lines.
func (q *logQueue) Write(p []byte) (int, error) {
	q.mu.Lock()
	if q.closed || len(q.pending)+len(p) > logQueueBytes {
		q.drop(p)
	} else {
		q.pending = append(q.pending, p...)
	}
	q.mu.Unlock()
	q.notify()
	return len(p), nil
}

// drop counts the lines of p as dropped. The caller must hold mu.
func (q *logQueue) drop(p []byte) {
	n := bytes.Count(p, []byte("\n"))
	q.missing += n
	q.dropped += n
}

func (q *logQueue) notify() {
	select {
	case q.wake <- struct{}{}:
	default: // the goroutine has been woken already
	}
}

// metric returns the counter of dropped lines.
func (q *logQueue) metric() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "cosproxy_log_lines_dropped_total",
		Help: "Log lines dropped because standard error was not read in time or could not be written.",
	}, func() float64 {
		q.mu.Lock()
		defer q.mu.Unlock()
		return float64(q.dropped)
	})
}

// close writes the queued lines, for at most logFlushTimeout. Later lines are dropped.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.notify()
	timer := time.NewTimer(logFlushTimeout)
	defer timer.Stop()
	select {
	case <-q.ended:
	case <-timer.C: // standard error is not read
	}
}

func (q *logQueue) run() {
	defer close(q.ended)
	var lines []byte
	for range q.wake {
		q.mu.Lock()
		lines, q.pending = q.pending, lines[:0]
		missing, report, closed := q.missing, q.report, q.closed
		q.mu.Unlock()
		// The missing lines were dropped after these ones had been queued.
		written := q.writeLines(lines)
		if missing > 0 && written && report != nil {
			q.reportMissing(report, missing)
		}
		if closed {
			return
		}
	}
}

// writeLines writes as many lines at once as fit in logWriteBytes. It reports whether
// the last write succeeded.
func (q *logQueue) writeLines(lines []byte) (written bool) {
	written = true
	for len(lines) > 0 {
		end := bytes.LastIndexByte(lines[:min(len(lines), logWriteBytes)], '\n') + 1
		if end == 0 {
			end = bytes.IndexByte(lines, '\n') + 1
		}
		if end == 0 {
			end = len(lines) // not a complete line
		}
		n, err := q.w.Write(lines[:end])
		if written = err == nil; !written {
			q.mu.Lock()
			q.drop(lines[min(n, end):end])
			q.mu.Unlock()
		}
		lines = lines[end:]
	}
	return written
}

// reportMissing writes a line with the number of missing lines. If that fails, the next
// report includes them.
func (q *logQueue) reportMissing(report slog.Handler, missing int) {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were dropped because standard error was not read in time; "+
		"check what collects the log", 0)
	r.Add("cosproxy.log_lines_dropped", missing)
	if report.Handle(context.Background(), r) != nil {
		return
	}
	q.mu.Lock()
	q.missing -= missing
	q.mu.Unlock()
}

// logLibraries redirects the output of package log, which libraries use, to l until
// restore is called.
func logLibraries(l *slog.Logger) (restore func()) {
	flags := log.Flags()
	log.SetFlags(0)
	log.SetOutput(newLibraryLog(l))
	return func() {
		log.SetFlags(flags)
		log.SetOutput(os.Stderr)
	}
}
