package main

import (
	"os/exec"
	"syscall"
)

// tieToThread has the kernel send cmd SIGTERM when the calling thread ends, as
// all threads of cosemu do with kill -9, which it cannot pass on (prctl(2),
// PR_SET_PDEATHSIG).
func tieToThread(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
