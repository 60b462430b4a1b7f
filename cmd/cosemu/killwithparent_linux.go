package main

import (
	"os/exec"
	"syscall"
)

// killWithParent makes the kernel send SIGTERM to cmd when the calling thread ends.
// After kill -9 cosemu cannot forward the signal (prctl(2), PR_SET_PDEATHSIG).
func killWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
