package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// inForeground reports whether a Ctrl-C at the terminal goes to this process
// group, and so to CMD as well as to cosemu.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false // no terminal
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
