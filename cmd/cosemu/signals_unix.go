//go:build unix

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// forward sends sig to CMD, except a Ctrl-C at the terminal, which CMD gets from
// the terminal as well: a second one would mean "at once".
func forward(sig os.Signal, cmd *os.Process) {
	if sig == os.Interrupt && inForeground() {
		return
	}
	_ = cmd.Signal(sig) // fails if CMD has just ended
}

// terminate asks CMD to end.
func terminate(cmd *os.Process) { _ = cmd.Signal(syscall.SIGTERM) }

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
