// Package smallfile reads the small files that settings name: tokens, keys and
// certificates. Such a file may be replaced, or be on a file system that hangs, or be
// a pipe or a device by mistake. Read is bounded in time and in size all the same.
//
// It is not for files that are large or read often, since each call opens the file
// again.
package smallfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// SecretLimit is for files with one secret, in bytes.
	SecretLimit = 64 << 10
	// CertificateLimit is for files with certificates, in bytes. The bundle of a
	// system has about a quarter of it.
	CertificateLimit = 1 << 20

	// Timeout bounds a call of Read whose context has no earlier end.
	Timeout = 2 * time.Second
)

var (
	// ErrTimeout says that the file could not be read in time.
	ErrTimeout = errors.New("it cannot be read in time: its file system, or what stands in its place, does not answer")
	// ErrNotPlain says that the path leads to a directory, a pipe, a socket or a
	// device.
	ErrNotPlain = errors.New("it is not a plain file")
)

// Read returns the content of the plain file at path. It opens the path anew each
// time, so that a symlink in it may be swapped. A file of more than limit bytes is an
// error, and so is one that cannot be read before ctx ends or within Timeout
// (ErrTimeout).
//
// No error repeats the path: what a setting for a path holds may be the secret itself
// by mistake. The caller names the setting.
//
// A read that hangs cannot be broken off. It goes on in the background, and until it
// ends no other of the same path begins, so that each file holds one goroutine at most.
func Read(ctx context.Context, path string, limit int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	turn := turnFor(path)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ErrTimeout
	}
	var content []byte
	var err error
	done := make(chan struct{})
	go func() {
		content, err = readPlain(path, limit)
		<-turn
		close(done)
	}()
	select {
	case <-done:
		return content, err
	case <-ctx.Done():
		return nil, ErrTimeout
	}
}

// turns has one channel with room for one for each path. There are as many as there
// are settings that name a file.
var turns sync.Map

func turnFor(path string) chan struct{} {
	turn, _ := turns.LoadOrStore(path, make(chan struct{}, 1))
	return turn.(chan struct{})
}

// open is os.OpenFile, but for tests of a file system that hangs.
var open = os.OpenFile

// readPlain may hang. A pipe is not waited for, since O_NONBLOCK opens it at once.
func readPlain(path string, limit int) ([]byte, error) {
	f, err := open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotPlain
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

func withoutPath(err error) error {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		return inPath.Err
	}
	return err
}
