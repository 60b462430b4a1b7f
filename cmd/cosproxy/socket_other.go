//go:build !linux

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// restrictSocket does nothing. Until setSocketAccess sets the mode, the umask applies.
func restrictSocket(_, _ string, _ syscall.RawConn) error { return nil }

// setSocketAccess sets the configured owner and mode of the socket at s.path.
func (c *resolved) setSocketAccess(s *socketListener) error {
	if o := c.socketOwner; o.given {
		if err := os.Lchown(s.path, o.uid, o.gid); err != nil {
			return fmt.Errorf("%s: %w; run cosproxy as this user, in this group, or as root", variable("SocketOwner"), err)
		}
	}
	// There is no portable chmod that does not follow links.
	if file, err := os.Lstat(s.path); err != nil || !os.SameFile(file, s.file) {
		return errReplaced(s.path)
	}
	if err := os.Chmod(s.path, fs.FileMode(c.SocketMode)); err != nil {
		return fmt.Errorf("%s: %w; use a folder on a file system with Unix permissions", variable("SocketMode"), err)
	}
	return nil
}
