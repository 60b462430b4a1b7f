package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cosproxy/credcache/smallfile"
)

const (
	// recheck is how soon a replaced file is noticed.
	recheck = 2 * time.Second
	// readTimeout bounds how long requests wait for a file that hangs, once.
	readTimeout = time.Second
)

// watched is what files say. They are read when somebody asks, and again after
// recheck; at once while something is wrong with them. Requests wait for that, but not
// while a file hangs: then they get what is known.
type watched[T any] struct {
	load func(ctx context.Context) (T, error) // returns soon after ctx ends
	log  *slog.Logger

	mu      sync.Mutex    // not held while files are read
	loading chan struct{} // closed when the load under way ends; nil: there is none
	hangs   bool          // the last load ended with its ctx
	next    time.Time     // when to look again
	value   T             // the last good one
	err     error         // why there is no newer one
}

// get returns the last good value, and what is wrong with the files since then.
// That is logged once.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	if w.loading == nil && !time.Now().Before(w.next) {
		w.loading = make(chan struct{})
		go w.reload(w.loading)
	}
	if loading := w.loading; loading != nil && !w.hangs {
		w.mu.Unlock()
		<-loading
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	return w.value, w.err
}

func (w *watched[T]) reload(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	value, err := w.load(ctx)
	w.mu.Lock()
	known := w.err
	if w.err = err; err == nil {
		w.value, w.next = value, time.Now().Add(recheck)
	}
	w.hangs = errors.Is(err, smallfile.ErrTimeout)
	w.mu.Unlock()
	if err != nil && (known == nil || known.Error() != err.Error()) {
		w.log.Error("a file cannot be used", "error", err)
	}
	w.mu.Lock()
	w.loading = nil
	w.mu.Unlock()
	close(done)
}
