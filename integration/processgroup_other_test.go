//go:build !unix

package integration_test

import (
	"os/exec"
	"syscall"
)

// inOwnGroup does nothing: only Unix can signal a group.
func inOwnGroup(*exec.Cmd) {}

// signalGroup kills cmd alone, whatever the signal.
func signalGroup(cmd *exec.Cmd, _ syscall.Signal) { _ = cmd.Process.Kill() }
