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

// writeMachine prints the date, the machine and the commit.
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

// loadAverage returns the load average of the last minute from /proc/loadavg. Above a
// few tenths, figures are unreliable.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// cpuModel returns the name of the first CPU in /proc/cpuinfo.
func cpuModel(cpuinfo string) string {
	for l := range strings.Lines(cpuinfo) {
		name, value, _ := strings.Cut(l, ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// revision returns the commit of the binary and the Go version. A build in a linked
// worktree of git does not contain its commit; then it is the commit of the current
// directory.
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
