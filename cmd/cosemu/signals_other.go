//go:build !unix

package main

import "os"

// forward ends CMD, except after a Ctrl-C, which the console sends to CMD as well.
// Windows has no other signals for a program to pass on.
func forward(sig os.Signal, cmd *os.Process) {
	if sig != os.Interrupt {
		terminate(cmd)
	}
}

// terminate ends CMD at once: os.Process.Signal knows only Kill on Windows.
func terminate(cmd *os.Process) { _ = cmd.Kill() }
