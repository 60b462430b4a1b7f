//go:build linux

package main

import (
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// writeMachine says when, where and what was measured.
func writeMachine(w io.Writer, s *settings, load string) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		text = nil
	}
	fmt.Fprintf(w, "%s, %s, %d cores, load average %s before, cosproxy %s\n",
		time.Now().Format(time.DateOnly), cpuModel(string(text)), runtime.NumCPU(), load, revision(s.cosproxy))
	if s.baseline != "" {
		fmt.Fprintf(w, "baseline: cosproxy %s\n", revision(s.baseline))
	}
}

// loadAverage is that of the last minute, as /proc/loadavg writes it. Figures
// from a machine with more than a few tenths are not worth much.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// cpuModel is the name of the first CPU in /proc/cpuinfo.
func cpuModel(cpuinfo string) string {
	for l := range strings.Lines(cpuinfo) {
		name, value, _ := strings.Cut(l, ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// revision is the commit that the binary was built from, and the Go version. A
// build in a linked worktree of git does not know its commit; then it is that of
// the current directory.
func revision(binary string) string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "of unknown origin"
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		head, _ := exec.Command("git", "rev-parse", "HEAD").Output()
		commit = strings.TrimSpace(string(head))
	}
	commit = commit[:min(12, len(commit))]
	if settings["vcs.modified"] == "true" {
		commit += " with changes"
	}
	return strings.TrimLeft(commit+", "+info.GoVersion, ", ")
}
