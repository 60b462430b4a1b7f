package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// stallTimeout is how long a body may stand still. There is no limit on the
// whole of a transfer, since objects are large.
const stallTimeout = time.Minute

var (
	errStalled       = errors.New("no byte of a body has moved for too long")
	errClientStalled = errors.New("no byte of the body has come from the client for too long")
)

// watchdog ends an exchange whose body has stopped moving.
type watchdog struct {
	timer *time.Timer
	limit time.Duration
}

// newWatchdog returns one that sleeps until the body moves.
func newWatchdog(limit time.Duration, stalled func()) *watchdog {
	w := &watchdog{time.AfterFunc(limit, stalled), limit}
	w.stop()
	return w
}

// moved gives the body its time anew.
func (w *watchdog) moved() { w.timer.Reset(w.limit) }

func (w *watchdog) stop() { w.timer.Stop() }

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
