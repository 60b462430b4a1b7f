//go:build !linux

package main

import "os/exec"

// killWithParent does nothing: only Linux can end a process with its parent.
func killWithParent(*exec.Cmd) {}
