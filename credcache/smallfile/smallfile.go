// Package smallfile reads the small files that settings name: tokens, keys and
// certificates, and lists directories of them. Such a file may be replaced at any time, may
// be on a file system that hangs, or may be a pipe or a device by mistake. Read and List
// limit time and size in all these cases.
//
// Do not use it for large files or for files that are read often: each call opens the file
// again.
package smallfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// SecretLimit is the size limit in bytes for a file with one secret.
	SecretLimit = 64 << 10
	// CertificateLimit is the size limit in bytes for a file with certificates. The bundle
	// of a system has about a quarter of it.
	CertificateLimit = 1 << 20

	// Timeout limits a call of Read whose context has no earlier end.
	Timeout = 2 * time.Second
)

var (
	// ErrTimeout reports that Read did not finish in time.
	ErrTimeout = errors.New("it cannot be read in time: its file system does not respond")

	// errNotRegular reports that the path is a directory, a pipe, a socket or a device.
	errNotRegular = errors.New("it is not a regular file")
)

// Read returns the content of the regular file at path. Each call opens the path again, so
// a symlink in it may be swapped. Read returns an error if the file has more than limit
// bytes, or cannot be read before ctx ends or within Timeout (ErrTimeout).
//
// No error quotes the path, because a setting for a path may hold the secret itself by
// mistake. The caller names the setting.
//
// A read that hangs cannot be canceled. It continues in the background, and no other read of
// the same path starts until it ends. So each file blocks at most one goroutine.
func Read(ctx context.Context, path string, limit int) ([]byte, error) {
	return within(ctx, path, func() ([]byte, error) { return readRegular(path, limit) })
}

// List returns the names of the entries of the directory at path, sorted. It returns an error
// if there are more than limit. Time and errors are as for Read.
func List(ctx context.Context, path string, limit int) ([]string, error) {
	return within(ctx, path, func() ([]string, error) { return list(path, limit) })
}

// within calls read, which may hang, and returns its results or ErrTimeout.
func within[T any](ctx context.Context, path string, read func() (T, error)) (T, error) {
	var none, content T
	var err error
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	l := join(path)
	select {
	case l.reading <- struct{}{}:
	case <-ctx.Done():
		l.leave(path)
		return none, ErrTimeout
	}
	done := make(chan struct{})
	go func() {
		content, err = read()
		<-l.reading
		l.leave(path)
		close(done)
	}()
	select {
	case <-done:
		return content, err
	case <-ctx.Done():
		return none, ErrTimeout
	}
}

// pathLock allows one read of a path at a time.
type pathLock struct {
	reading chan struct{} // of capacity 1; full during a read
	users   int           // reads, and calls that wait for one; guarded by locksMu
}

var (
	locksMu sync.Mutex
	locks   = make(map[string]*pathLock) // by path; only those with users
)

// join returns the lock of a path. Each call needs one of leave.
func join(path string) *pathLock {
	locksMu.Lock()
	defer locksMu.Unlock()
	l := locks[path]
	if l == nil {
		l = &pathLock{reading: make(chan struct{}, 1)}
		locks[path] = l
	}
	l.users++
	return l
}

// leave removes the lock of path after its last user.
func (l *pathLock) leave(path string) {
	locksMu.Lock()
	defer locksMu.Unlock()
	if l.users--; l.users == 0 {
		delete(locks, path)
	}
}

// openFile is os.OpenFile. Tests replace it to simulate a file system that hangs.
var openFile = os.OpenFile

// readRegular may hang. It does not wait for a pipe, because O_NONBLOCK opens it at once.
func readRegular(path string, limit int) ([]byte, error) {
	f, err := openFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	content, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(content) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return content, nil
}

// list may hang.
func list(path string, limit int) ([]string, error) {
	f, err := openFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	names, err := f.Readdirnames(limit + 1)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, withoutPath(err)
	case len(names) > limit:
		return nil, fmt.Errorf("it has more than %d entries", limit)
	}
	slices.Sort(names)
	return names, nil
}

// withoutPath returns the cause of a *fs.PathError, and any other error unchanged.
func withoutPath(err error) error {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		return inPath.Err
	}
	return err
}
