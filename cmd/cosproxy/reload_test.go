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

func TestReloader_Reload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		loads, content, bad := 0, "a", error(nil)
		w := &reloader[string]{log: slog.New(slog.NewTextHandler(&log, nil)), load: func(context.Context) (string, error) {
			loads++
			return content, bad
		}}
		want := func(value string, err error, wantLoads int) {
			t.Helper()
			if got, gotErr := w.get(); got != value || !errors.Is(gotErr, err) || loads != wantLoads {
				t.Errorf("got %q, %v after %d loads; want %q, %v, %d", got, gotErr, loads, value, err, wantLoads)
			}
		}
		want("a", nil, 1)
		content = "b"
		time.Sleep(reloadInterval - 1)
		want("a", nil, 1)
		time.Sleep(time.Nanosecond)
		want("b", nil, 2)
		bad = errors.New("gone")
		time.Sleep(reloadInterval)
		want("b", bad, 3)
		want("b", bad, 4) // after an error, get reloads every time
		content, bad = "c", nil
		want("c", nil, 5)
		want("c", nil, 5)
		if n := strings.Count(log.String(), "gone"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
	})
}

// TestReloader_HangingFile checks that a hanging file delays requests only once, and that
// its value is used again after it works.
func TestReloader_HangingFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var hangs atomic.Bool
		var loads atomic.Int32
		w := &reloader[string]{log: slog.New(slog.NewTextHandler(&log, nil)), load: func(ctx context.Context) (string, error) {
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
		time.Sleep(reloadInterval)
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
			t.Errorf("%d loads in 2 s", n)
		}
		hangs.Store(false)
		time.Sleep(readTimeout)
		_, _ = w.get() // starts a reload
		synctest.Wait()
		want(0, nil)
		if n := strings.Count(log.String(), "cannot be read in time"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
	})
}

// TestReloader_Retry checks that a failed load is repeated after retry, not for each call.
func TestReloader_Retry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads, bad := 0, errors.New("gone")
		w := &reloader[string]{log: slog.New(slog.DiscardHandler), retry: tokensRetry, load: func(context.Context) (string, error) {
			loads++
			return "a", bad
		}}
		want := func(err error, wantLoads int) {
			t.Helper()
			if _, got := w.get(); !errors.Is(got, err) || loads != wantLoads {
				t.Errorf("got %v after %d loads; want %v, %d", got, loads, err, wantLoads)
			}
		}
		gone := bad
		for range 3 {
			want(gone, 1)
		}
		time.Sleep(tokensRetry - 1)
		want(gone, 1)
		time.Sleep(time.Nanosecond)
		want(gone, 2)
		bad = nil
		want(gone, 2)
		time.Sleep(tokensRetry)
		want(nil, 3)
		time.Sleep(tokensRetry)
		want(nil, 3) // a valid value stays in use for reloadInterval
	})
}

// TestReloader_Timeout checks that timeout replaces readTimeout.
func TestReloader_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, want := range map[time.Duration]time.Duration{0: readTimeout, tokensTimeout: tokensTimeout} {
			w := &reloader[string]{log: slog.New(slog.DiscardHandler), timeout: timeout, load: func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", smallfile.ErrTimeout
			}}
			start := time.Now()
			if _, err := w.get(); !errors.Is(err, smallfile.ErrTimeout) || time.Since(start) != want {
				t.Errorf("timeout %v: %v after %v, want %v", timeout, err, time.Since(start), want)
			}
		}
	})
}
