//go:build !linux

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// restrictSocket does nothing: elsewhere the umask alone decides, until setSocketAccess sets
// the mode.
func restrictSocket(_, _ string, _ syscall.RawConn) error { return nil }

// setSocketAccess gives the socket at s.path the owner and the mode of the settings.
func (c *resolved) setSocketAccess(s *socketListener) error {
	if o := c.socketOwner; o.given {
		if err := os.Lchown(s.path, o.uid, o.gid); err != nil {
			return fmt.Errorf("%s: %w; run cosproxy as this user, in this group, or as root", variable("SocketOwner"), err)
		}
	}
	// There is no chmod that follows no link and that all systems have.
	if file, err := os.Lstat(s.path); err != nil || !os.SameFile(file, s.file) {
		return errReplaced(s.path)
	}
	if err := os.Chmod(s.path, fs.FileMode(c.SocketMode)); err != nil {
		return fmt.Errorf("%s: %w", variable("SocketMode"), err)
	}
	return nil
}
