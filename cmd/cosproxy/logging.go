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
	// logQueueBytes bounds the text that waits for a reader of standard error.
	logQueueBytes = 1 << 20
	// logWriteBytes is how many bytes one write takes where lines are short: up
	// to this length a write to a pipe is not mixed with those of other processes
	// (PIPE_BUF on Linux, pipe(7)).
	logWriteBytes = 4096
	// logFlushTimeout bounds the wait for that reader when the process ends.
	logFlushTimeout = time.Second
)

// logger writes to w in the format of the settings.
func (c *config) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// logQueue is a writer for logs that never blocks and never fails: one goroutine
// writes to w what Write has queued. Lines that find the queue full, or that w
// refuses, are dropped and counted; once w takes lines again, one line says how
// many are missing. The zero value cannot be used: see newLogQueue.
type logQueue struct {
	w     io.Writer
	wake  chan struct{} // holds one token while there may be something to do
	ended chan struct{}

	mu      sync.Mutex
	pending []byte       // whole lines
	missing int          // lines dropped since the last report of them
	dropped int          // lines dropped in all
	report  slog.Handler // writes to w; nil reports nothing
	closed  bool
}

// newLogQueue starts a queue in front of w. It has to be closed.
func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{w: w, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// logger is a logger on the queue that has the format of the settings.
func (q *logQueue) logger(c *config) *slog.Logger {
	q.mu.Lock()
	q.report = c.logger(q.w).Handler()
	q.mu.Unlock()
	return c.logger(q)
}

// Write implements io.Writer. It takes whole lines.
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

// drop counts the lines of p. The caller holds mu.
func (q *logQueue) drop(p []byte) {
	n := bytes.Count(p, []byte("\n"))
	q.missing += n
	q.dropped += n
}

func (q *logQueue) notify() {
	select {
	case q.wake <- struct{}{}:
	default: // the goroutine will look anyway
	}
}

// metric counts the lines dropped since the start.
func (q *logQueue) metric() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "cosproxy_log_lines_dropped_total",
		Help: "Lines that are missing in the log because standard error was not read in time or could not be written.",
	}, func() float64 {
		q.mu.Lock()
		defer q.mu.Unlock()
		return float64(q.dropped)
	})
}

// close writes what is queued, for at most logFlushTimeout. Writes that come later
// are dropped.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.notify()
	timer := time.NewTimer(logFlushTimeout)
	defer timer.Stop()
	select {
	case <-q.ended:
	case <-timer.C: // nobody reads
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
		// What is missing was dropped while these lines filled the queue.
		flowing := q.writeLines(lines)
		if missing > 0 && flowing && report != nil {
			q.reportMissing(report, missing)
		}
		if closed {
			return
		}
	}
}

// writeLines writes several lines at once while they are short. It reports
// whether w took the last of them.
func (q *logQueue) writeLines(lines []byte) (flowing bool) {
	flowing = true
	for len(lines) > 0 {
		end := bytes.LastIndexByte(lines[:min(len(lines), logWriteBytes)], '\n') + 1
		if end == 0 {
			end = bytes.IndexByte(lines, '\n') + 1
		}
		if end == 0 {
			end = len(lines) // not a whole line
		}
		n, err := q.w.Write(lines[:end])
		if flowing = err == nil; !flowing {
			q.mu.Lock()
			q.drop(lines[min(n, end):end])
			q.mu.Unlock()
		}
		lines = lines[end:]
	}
	return flowing
}

// reportMissing tells how many lines are missing. If w refuses the line, the
// next report tells of them.
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

// logLibraries has what libraries print through package log become lines of l,
// until restore is called.
func logLibraries(l *slog.Logger) (restore func()) {
	flags := log.Flags()
	log.SetFlags(0)
	log.SetOutput(newLibraryLog(l))
	return func() {
		log.SetFlags(flags)
		log.SetOutput(os.Stderr)
	}
}
