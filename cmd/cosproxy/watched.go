package main

import (
	"log/slog"
	"sync"
	"time"
)

// recheck is how soon a replaced file is noticed.
const recheck = 2 * time.Second

// watched is what files say. They are looked at when somebody asks, and again
// after recheck; at once while something is wrong with them.
type watched[T any] struct {
	load func() (T, error)
	log  *slog.Logger

	mu    sync.Mutex
	next  time.Time // when to look again
	value T         // the last good one
	err   error     // why there is no newer one
}

// get returns the last good value, and what is wrong with the files since then.
// That is logged once.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.next) {
		return w.value, w.err
	}
	value, err := w.load()
	switch {
	case err == nil:
		w.value, w.next = value, now.Add(recheck)
	case w.err == nil || w.err.Error() != err.Error():
		w.log.Error("a file cannot be used", "error", err)
	}
	w.err = err
	return w.value, err
}
