package integration_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

// TestLargeBody_Memory uploads and downloads 1 GiB, then checks the peak resident size
// of the sidecar.
func TestLargeBody_Memory(t *testing.T) {
	t.Parallel()
	const (
		size  = 1 << 30
		limit = 40 << 20
	)
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, filepath.Join(bin, "cosproxy"), sidecarEnv(emu)...)

	sent := putPattern(t, s, "gigabyte", size)
	if got := readBack(t, s, "gigabyte", size); got != sent {
		t.Error("the downloaded bytes differ from the uploaded ones")
	}
	checkPeakRSS(t, s, limit)
}

// putPattern uploads size bytes and returns their SHA-256.
func putPattern(t testing.TB, s *sidecar, key string, size int64) string {
	t.Helper()
	sent := sha256.New()
	req, err := http.NewRequest(http.MethodPut, s.url+"/"+key, io.TeeReader(io.LimitReader(&pattern{}, size), sent))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT: %s", resp.Status)
	}
	return sum(sent)
}

// readBack downloads size bytes and returns their SHA-256.
func readBack(t testing.TB, s *sidecar, key string, size int64) string {
	t.Helper()
	resp, err := client.Get(s.url + "/" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := sha256.New()
	if n, err := io.Copy(got, resp.Body); err != nil || n != size {
		t.Fatalf("GET: %d bytes, %v", n, err)
	}
	return sum(got)
}

func sum(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

// checkPeakRSS checks the peak resident size of the sidecar. limit is in bytes.
func checkPeakRSS(t testing.TB, s *sidecar, limit int64) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Log("not checked: peak memory is read from /proc, on Linux only")
		return
	}
	peak := peakRSS(t, s.cmd.Process.Pid)
	t.Logf("peak RSS of cosproxy: %.1f MiB", float64(peak)/(1<<20))
	if peak > limit {
		t.Errorf("peak RSS %d MiB, want at most %d MiB", peak>>20, limit>>20)
	}
}

// peakRSS returns VmHWM of a process in bytes (proc_pid_status(5)).
func peakRSS(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in /proc/pid/status")
	return 0
}

// pattern is an endless body whose blocks of 64 KiB all differ.
type pattern struct {
	block int64
	rest  []byte
}

func (p *pattern) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		p.block++
		p.rest = bytes.Repeat(fmt.Appendf(nil, "%016d", p.block), 4096)
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
