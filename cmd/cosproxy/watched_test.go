package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		loads, content, bad := 0, "a", error(nil)
		w := &watched[string]{log: slog.New(slog.NewTextHandler(&log, nil)), load: func() (string, error) {
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
