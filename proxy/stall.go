package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

var (
	errStalled       = errors.New("no byte of a body has moved for too long")
	errClientStalled = errors.New("next to nothing of the body has come from the client for too long")
)

// leastProgress is how many bytes a body has to move in Limits.StallTimeout, so
// that nobody holds a slot with a byte now and then.
const leastProgress = 1 << 10

// watchdog ends an exchange whose body has stopped moving. There is no limit on
// the whole of a transfer, since objects are large.
type watchdog struct {
	limit time.Duration

	mu    sync.Mutex
	timer *time.Timer
	awake bool
	bytes int // moved since the timer was set
}

// newWatchdog returns one that sleeps until start.
func newWatchdog(limit time.Duration, stalled func()) *watchdog {
	w := &watchdog{limit: limit, timer: time.AfterFunc(limit, stalled)}
	w.timer.Stop()
	return w
}

// start gives the body its time, unless that runs already.
func (w *watchdog) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.awake {
		w.reset()
	}
}

// moved gives the body its time anew once enough of it has moved.
func (w *watchdog) moved(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes += n; w.awake && w.bytes >= leastProgress {
		w.reset()
	}
}

func (w *watchdog) reset() {
	w.awake, w.bytes = true, 0
	w.timer.Reset(w.limit)
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awake = false
	w.timer.Stop()
}

// expired is a deadline that makes a blocked read or write return at once.
var expired = time.Unix(1, 0)

// unblockReads lets reads from the client fail as soon as ctx ends with a cause.
// net/http's transport does not return from a failed request while it still
// reads the client's body. Without a cause it was the client who ended ctx, and
// it may still listen for the answer.
func unblockReads(ctx context.Context, w http.ResponseWriter) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			_ = http.NewResponseController(w).SetReadDeadline(expired)
		}
	})
}

// unblockWrites lets writes to the client fail as soon as ctx ends.
func unblockWrites(ctx context.Context, w http.ResponseWriter) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = http.NewResponseController(w).SetWriteDeadline(expired) })
}

// boundLastWrite gives what net/http writes of the answer by itself, once the
// handler is done with it, the time in which a body may stand still.
func boundLastWrite(w http.ResponseWriter, limit time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
}
