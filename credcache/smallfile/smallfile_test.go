//go:build unix

package smallfile_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cosproxy/credcache/smallfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file-NEVER-SHOWN")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	path := write(t, " a\n")
	if got, err := smallfile.Read(t.Context(), path, 3); string(got) != " a\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	link := path + "-link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if got, err := smallfile.Read(t.Context(), link, 3); string(got) != " a\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRead_NotRegular expects an immediate error that does not quote the path.
func TestRead_NotRegular(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe-NEVER-SHOWN"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	secret := "SECRET-NEVER-SHOWN/in/place+of=a-path" + strings.Repeat("x", 300)
	for path, want := range map[string]error{
		pipe: smallfile.ErrNotRegular, "/dev/zero": smallfile.ErrNotRegular, "/dev/null": smallfile.ErrNotRegular, dir: smallfile.ErrNotRegular,
		socket: syscall.ENXIO, secret: syscall.ENOENT, secret[40:]: syscall.ENAMETOOLONG, "": syscall.ENOENT, "a\x00b": syscall.EINVAL,
		write(t, "") + "/NEVER-SHOWN": syscall.ENOTDIR,
	} {
		start := time.Now()
		got, err := smallfile.Read(t.Context(), path, 10)
		if !errors.Is(err, want) || got != nil {
			t.Errorf("%.20q: %q, %v; want %v", path, got, err, want)
		} else if path != "" && strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "NEVER-SHOWN") {
			t.Errorf("%v quotes the path", err)
		}
		if took := time.Since(start); took > smallfile.Timeout/2 {
			t.Errorf("%.20q took %v", path, took)
		}
	}
	if _, err := smallfile.Read(t.Context(), secret, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func TestRead_TooLarge(t *testing.T) {
	path := write(t, "")
	if err := os.Truncate(path, 1<<40); err != nil { // it takes no space
		t.Fatal(err)
	}
	if got, err := smallfile.Read(t.Context(), path, 10); err == nil || err.Error() != "it has more than 10 bytes" || got != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRead_Hanging expects that all calls for a hanging file time out, that only one goroutine
// waits for it, and that Read works again as soon as the file does.
func TestRead_Hanging(t *testing.T) {
	path, release := write(t, "a"), make(chan struct{})
	var opened atomic.Int32
	ended := make(chan struct{}, 100)
	restore := smallfile.OnOpen(func(string) {
		opened.Add(1)
		<-release
		ended <- struct{}{}
	})
	defer restore()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if got, err := smallfile.Read(ctx, path, 10); got != nil || !errors.Is(err, smallfile.ErrTimeout) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	calls.Wait()
	if n := opened.Load(); n != 1 {
		t.Errorf("%d readers wait for the file", n)
	}
	if n := smallfile.Locks(); n != 1 {
		t.Errorf("%d locks of one file", n)
	}
	close(release)
	<-ended
	if got, err := smallfile.Read(t.Context(), path, 10); string(got) != "a" || err != nil {
		t.Errorf("afterwards %q, %v", got, err)
	}
	if n := smallfile.Locks(); n != 0 {
		t.Errorf("%d locks without a read", n)
	}
}

// TestRead_OtherFileHangs expects that a hanging file does not delay other files.
func TestRead_OtherFileHangs(t *testing.T) {
	hung, other, release := write(t, "a"), write(t, "b"), make(chan struct{})
	restore := smallfile.OnOpen(func(path string) {
		if path == hung {
			<-release
		}
	})
	defer restore()
	start := time.Now()
	if _, err := smallfile.Read(t.Context(), hung, 10); !errors.Is(err, smallfile.ErrTimeout) {
		t.Errorf("hung: %v", err)
	}
	if took := time.Since(start); took < smallfile.Timeout || took > smallfile.Timeout+5*time.Second {
		t.Errorf("took %v, want %v", took, smallfile.Timeout)
	}
	if got, err := smallfile.Read(t.Context(), other, 10); string(got) != "b" || err != nil {
		t.Errorf("other: %q, %v", got, err)
	}
	close(release)
	if got, err := smallfile.Read(t.Context(), hung, 10); string(got) != "a" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	if got, err := smallfile.List(t.Context(), dir, 0); len(got) != 0 || err != nil {
		t.Errorf("empty: %q, %v", got, err)
	}
	for _, name := range []string{"b", "a", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := smallfile.List(t.Context(), dir, 3); !slices.Equal(got, []string{".hidden", "a", "b"}) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := smallfile.List(t.Context(), dir, 2); got != nil || err == nil || err.Error() != "it has more than 2 entries" {
		t.Errorf("%q, %v", got, err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "a"): syscall.ENOTDIR, "/NEVER-SHOWN": syscall.ENOENT, "": syscall.ENOENT,
	} {
		if got, err := smallfile.List(t.Context(), path, 10); got != nil || !errors.Is(err, want) || strings.Contains(err.Error(), "NEVER-SHOWN") {
			t.Errorf("%q: %q, %v; want %v", path, got, err, want)
		}
	}
}

func TestList_Hanging(t *testing.T) {
	dir, release, ended := t.TempDir(), make(chan struct{}), make(chan struct{})
	restore := smallfile.OnOpen(func(string) {
		<-release
		close(ended)
	})
	defer restore()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got, err := smallfile.List(ctx, dir, 10); got != nil || !errors.Is(err, smallfile.ErrTimeout) {
		t.Errorf("%q, %v", got, err)
	}
	close(release)
	<-ended
}
