package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache/smallfile"
)

func TestWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		loads, content, bad := 0, "a", error(nil)
		w := &watched[string]{log: slog.New(slog.NewTextHandler(&log, nil)), load: func(context.Context) (string, error) {
			loads++
			return content, bad
		}}
		want := func(value string, err error, looked int) {
			t.Helper()
			if got, gotErr := w.get(); got != value || !errors.Is(gotErr, err) || loads != looked {
				t.Errorf("got %q, %v after %d looks; want %q, %v, %d", got, gotErr, loads, value, err, looked)
			}
		}
		want("a", nil, 1)
		content = "b"
		time.Sleep(recheck - 1)
		want("a", nil, 1)
		time.Sleep(time.Nanosecond)
		want("b", nil, 2)
		bad = errors.New("gone")
		time.Sleep(recheck)
		want("b", bad, 3)
		want("b", bad, 4) // something is wrong, so every time
		content, bad = "c", nil
		want("c", nil, 5)
		want("c", nil, 5)
		if n := strings.Count(log.String(), "gone"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
	})
}

// TestWatched_Hanging: a file that hangs costs requests one wait, however many there
// are and however long it hangs, and counts again as soon as it works.
func TestWatched_Hanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var hangs atomic.Bool
		var loads atomic.Int32
		w := &watched[string]{log: slog.New(slog.NewTextHandler(&log, nil)), load: func(ctx context.Context) (string, error) {
			loads.Add(1)
			if !hangs.Load() {
				return "a", nil
			}
			<-ctx.Done()
			return "", smallfile.ErrTimeout
		}}
		want := func(wait time.Duration, err error) {
			t.Helper()
			start := time.Now()
			got, gotErr := w.get()
			if took := time.Since(start); got != "a" || !errors.Is(gotErr, err) || took != wait {
				t.Errorf("%q, %v after %v; want a, %v after %v", got, gotErr, took, err, wait)
			}
		}
		want(0, nil)
		hangs.Store(true)
		time.Sleep(recheck)
		var requests sync.WaitGroup
		for range 10 {
			requests.Go(func() { want(readTimeout, smallfile.ErrTimeout) })
		}
		requests.Wait()
		for range 20 {
			want(0, smallfile.ErrTimeout)
			time.Sleep(readTimeout / 10)
		}
		if n := loads.Load(); n > 5 {
			t.Errorf("%d looks in 2 s", n)
		}
		hangs.Store(false)
		time.Sleep(readTimeout)
		_, _ = w.get() // has it read again
		synctest.Wait()
		want(0, nil)
		if n := strings.Count(log.String(), "cannot be read in time"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
	})
}
