//go:build linux

package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	for _, tt := range []struct {
		text string
		want procStat
		ok   bool
	}{
		{"42 (nginx) S 7 42 42 0 -1 4194560 99 0 0 0 150 50 3 4 20 0 1 0 5 6 7\n", procStat{7, 2 * time.Second}, true},
		{"42 (a) b) (c)) R 7 42 42 0 -1 4194560 99 0 0 0 0 1 3 4 20 0\n", procStat{7, 10 * time.Millisecond}, true},
		{"42 (nginx) S 7 42", procStat{}, false},
		{"42 (nginx) S x 42 42 0 -1 4194560 99 0 0 0 150 50 3", procStat{}, false},
		{"42 (nginx) S 7 42 42 0 -1 4194560 99 0 0 0 150 x 3", procStat{}, false},
		{"", procStat{}, false},
	} {
		if got, err := parseStat(tt.text); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
	}
}

func TestParseStatus(t *testing.T) {
	const text = "Name:\tcosproxy\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t9\n"
	for key, want := range map[string]int64{"VmHWM": 20 << 20, "VmRSS": 10 << 20, "VmSwap": 0, "Vm": 0} {
		if got := parseStatus(text, key); got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
}

func TestDescendants(t *testing.T) {
	parents := map[int]int{1: 0, 10: 1, 11: 10, 12: 10, 13: 12, 20: 1}
	got := descendants(10, parents)
	slices.Sort(got)
	if want := []int{10, 11, 12, 13}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCPUTime(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo; while :; do :; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	pids := []int{cmd.Process.Pid}
	first := cpuTime(pids)
	for end := time.Now().Add(10 * time.Second); cpuTime(pids) == first; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a busy process used no CPU time")
		}
	}
	if rss := memory([]int{os.Getpid()}, "VmRSS"); rss < 1<<20 {
		t.Errorf("resident memory of this process: %d", rss)
	}
	if children := descendants(os.Getpid(), readParents()); !slices.Contains(children, cmd.Process.Pid) {
		t.Errorf("%d is not among %v", cmd.Process.Pid, children)
	}
}
