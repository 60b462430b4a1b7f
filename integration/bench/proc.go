//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// procStat is the content of /proc/PID/stat (proc_pid_stat(5)).
type procStat struct {
	parent int
	cpu    time.Duration // user and system time of all threads, in steps of 10 ms
}

func parseStat(text string) (procStat, error) {
	// The name of the program is in parentheses and may contain any characters.
	_, rest, _ := strings.Cut(text[strings.LastIndexByte(text, ')')+1:], " ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return procStat{}, fmt.Errorf("unreadable stat %q", text)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return procStat{}, err
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return procStat{}, err
		}
		ticks += n
	}
	return procStat{parent: parent, cpu: time.Duration(ticks) * (time.Second / 100)}, nil
}

// parseStatus returns a value of /proc/PID/status that is in kB, in bytes, or 0 if it
// is missing.
func parseStatus(text, key string) int64 {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// readParents returns the parent of each process.
func readParents() map[int]int {
	parents := make(map[int]int)
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has exited
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if s, err := parseStat(string(text)); err == nil {
			parents[pid] = s.parent
		}
	}
	return parents
}

// descendants returns pid and all processes below it.
func descendants(pid int, parents map[int]int) []int {
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		for child, parent := range parents {
			if parent == found[i] {
				found = append(found, child)
			}
		}
	}
	return found
}

// cpuTime returns the CPU time of the processes. Exited processes count as 0.
func cpuTime(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		var ts unix.Timespec
		// The CPU clock of another process (clock_getcpuclockid(3)) is exact; stat
		// counts steps of 10 ms.
		const sched = 2
		if unix.ClockGettime(int32(^pid<<3|sched), &ts) == nil {
			sum += time.Duration(ts.Nano())
			continue
		}
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
			s, _ := parseStat(string(text))
			sum += s.cpu
		}
	}
	return sum
}

// memory sums VmRSS or VmHWM of the processes in bytes. It counts shared pages once
// for each process.
func memory(pids []int, key string) int64 {
	var sum int64
	for _, pid := range pids {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			sum += parseStatus(string(text), key)
		}
	}
	return sum
}

// resetPeak resets VmHWM to VmRSS (proc_pid_clear_refs(5)). Without the permission,
// the peak is that of the whole lifetime.
func resetPeak(pids []int) {
	for _, pid := range pids {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}
