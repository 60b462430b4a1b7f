package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// restrictSocket sets the mode of a Unix socket before it is bound, so that no other user
// can connect before setSocketAccess allows it. The file gets this mode less the umask.
func restrictSocket(_, _ string, c syscall.RawConn) error {
	var err error
	if controlErr := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }); controlErr != nil {
		return controlErr
	}
	return err
}

// setSocketAccess sets the configured owner and mode of the socket at s.path. It opens the
// file without following links, so that a link cannot redirect the changes.
func (c *resolved) setSocketAccess(s *socketListener) error {
	fd, err := unix.Open(s.path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: s.path, Err: err}
	}
	f := os.NewFile(uintptr(fd), s.path)
	defer func() { _ = f.Close() }() // nothing was written
	if file, err := f.Stat(); err != nil || !os.SameFile(file, s.file) {
		return errReplaced(s.path)
	}
	if o := c.socketOwner; o.given {
		if err := unix.Fchownat(fd, "", o.uid, o.gid, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("%s: chown %s: %w; run cosproxy as this user, in this group, or as root", variable("SocketOwner"), s.path, err)
		}
	}
	// fchmod rejects O_PATH descriptors, and fchmodat2 requires Linux 6.6.
	mode := fs.FileMode(c.SocketMode)
	err = os.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
	if errors.Is(err, fs.ErrNotExist) { // /proc is not mounted
		err = unix.Fchmodat(fd, "", uint32(mode), unix.AT_EMPTY_PATH)
	}
	if err != nil {
		return fmt.Errorf("%s: chmod %s: %w; use a folder on a file system with Unix permissions", variable("SocketMode"), s.path, err)
	}
	return nil
}
