//go:build !linux

package main

import "os/exec"

// tieToThread does nothing: only Linux ends a process with its parent.
func tieToThread(*exec.Cmd) {}
