package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
)

// socketListener is a listener whose file goes when it is closed, as far as the file
// is still its own: another process may have put one of its own in its place.
type socketListener struct {
	net.Listener
	path   string
	file   fs.FileInfo // device and inode
	remove *sync.Once
}

// newSocketListener takes over l, which has just been opened at path.
func newSocketListener(l net.Listener, path string) (*socketListener, error) {
	if socket, ok := l.(*net.UnixListener); ok {
		socket.SetUnlinkOnClose(false)
	}
	file, err := os.Lstat(path)
	if err == nil && file.Mode().Type() != fs.ModeSocket {
		err = errReplaced(path)
	}
	return &socketListener{l, path, file, new(sync.Once)}, err
}

func errReplaced(path string) error {
	return fmt.Errorf("%s is no longer the socket that cosproxy has opened; let no other process write to its directory", path)
}

// Close removes the file and closes the listener. In this order, since the number of
// an inode may be given to another file once the listener is closed.
func (s *socketListener) Close() error {
	var err error
	s.remove.Do(func() {
		if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.file) {
			err = os.Remove(s.path)
		}
	})
	return errors.Join(err, s.Listener.Close())
}
