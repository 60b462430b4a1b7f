//go:build unix

package integration_test

import (
	"os/exec"
	"syscall"
)

// inOwnGroup has cmd start in a process group of its own.
func inOwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup signals cmd and the processes that it has started.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }
