package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// socketMode lets the owner of a Unix socket connect and nobody else.
const socketMode = 0o600

// listen opens a, which belongs to a field of config. It returns nil if a is
// off. A Unix socket's file is removed when the listener is closed.
func listen(field string, a address) (net.Listener, error) {
	if a.network == "" {
		return nil, nil
	}
	l, err := open(a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; free this address or choose another", variable(field), err)
	}
	return l, nil
}

func open(a address) (net.Listener, error) {
	if a.network != "unix" {
		return net.Listen(a.network, a.at)
	}
	if err := removeStale(a.at); err != nil {
		return nil, err
	}
	l, err := net.Listen(a.network, a.at)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(a.at, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes a socket that nothing listens on: what is left of a
// process that was killed. Anything else at path stays.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there already and is no socket", path)
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("another process listens on %s", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return err
}
