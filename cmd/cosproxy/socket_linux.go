package main

import "syscall"

// ownersAlone gives a Unix socket that is not bound yet the mode that its file
// will get, less the umask, so that nobody else can connect before letIn has
// said who may.
func ownersAlone(_, _ string, c syscall.RawConn) error {
	var err error
	if controlErr := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }); controlErr != nil {
		return controlErr
	}
	return err
}
