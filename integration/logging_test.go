package integration_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// logLine holds the fields of a log line that these tests read.
type logLine struct {
	Msg    string
	Listen string `json:"cosproxy.listen"`
	Admin  string `json:"cosproxy.admin_listen"`
	Lines  int    `json:"cosproxy.log_lines_dropped"`
}

// logReader reads the log of a sidecar on demand.
type logReader struct {
	*os.File
	lines *bufio.Reader
}

// next returns the next line. It fails the test after a timeout, or if the line is not
// JSON.
func (r *logReader) next(t *testing.T) logLine {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, err := r.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	var line logLine
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("a line of the log is not JSON: %v\n%s", err, text)
	}
	return line
}

// startLogging starts a sidecar with standard error on a pipe, and reads the pipe up
// to the line with the addresses.
func startLogging(t *testing.T) (*sidecar, *logReader) {
	t.Helper()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s := &sidecar{cmd: exec.Command(program()), exited: make(chan struct{})}
	s.cmd.Env = append(cleanEnv(), sidecarEnv(emu)...)
	inOwnGroup(s.cmd)
	s.cmd.Stderr = w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() { _ = s.cmd.Wait(); close(s.exited) }()
	t.Cleanup(s.kill)
	log := &logReader{r, bufio.NewReader(r)}
	for s.url == "" {
		if line := log.next(t); line.Listen != "" {
			s.url, s.admin = "http://"+line.Listen, "http://"+line.Admin
		}
	}
	s.waitReady(t)
	return s, log
}

// fillLog sends more requests than the pipe and the queue can hold log lines. It
// returns the number of requests.
func fillLog(t *testing.T, s *sidecar) int {
	t.Helper()
	const requests = 1000
	patient := &http.Client{Transport: client.Transport, Timeout: 10 * time.Second}
	key := s.url + "/" + strings.Repeat("%01", 500) // each takes six bytes in the log
	for i := range requests {
		resp, err := patient.Get(key)
		if err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Fatalf("request %d: %d, want 404 of COS", i+1, resp.StatusCode)
		}
	}
	return requests
}

// waitExit waits for the end of the process: the time for a flush and some more.
func (s *sidecar) waitExit(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		t.Fatal("the process does not exit after SIGTERM")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestLog_ReaderStalls checks that a log without a reader loses lines and has no other
// effect. When the log is read again, a line reports the number of lost lines.
func TestLog_ReaderStalls(t *testing.T) {
	t.Parallel()
	s, log := startLogging(t)
	sent := fillLog(t, s)
	_, metrics := do(t, http.MethodGet, s.admin+"/metrics", nil)
	dropped := 0
	for line := range strings.Lines(string(metrics)) {
		_, _ = fmt.Sscanf(line, "cosproxy_log_lines_dropped_total %d", &dropped)
	}
	if dropped == 0 || dropped >= sent {
		t.Fatalf("of %d lines, %d were dropped", sent, dropped)
	}
	read := 0
	for {
		line := log.next(t)
		if strings.HasPrefix(line.Msg, "log lines were dropped") {
			if line.Lines != dropped || read+dropped < sent {
				t.Errorf("after %d requests, %d of them in the log: the log reports %d lost lines, the metric %d", sent, read, line.Lines, dropped)
			}
			break
		}
		if line.Msg == "request" {
			read++
		}
	}
	if code := s.cmd.Process.Signal(syscall.SIGTERM); code != nil {
		t.Fatal(code)
	}
	for log.next(t).Msg != "draining" { // the lines after the report are complete
	}
	s.waitExit(t)
}

func TestLog_SIGTERMWhileReaderStalls(t *testing.T) {
	t.Parallel()
	s, _ := startLogging(t)
	fillLog(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.waitExit(t)
}

// TestLog_ReaderCloses checks that requests go on after the reader of the log has
// closed the pipe.
func TestLog_ReaderCloses(t *testing.T) {
	t.Parallel()
	s, log := startLogging(t)
	body, feed := io.Pipe()
	result := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPut, s.url+"/upload", body)
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			result <- 0
			return
		}
		resp.Body.Close()
		result <- resp.StatusCode
	}()
	if _, err := feed.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	log.Close()
	for range 3 {
		if status, _ := do(t, http.MethodGet, s.url+"/missing", nil); status != http.StatusNotFound {
			t.Errorf("GET: %d, want 404 of COS", status)
		}
	}
	_ = feed.Close()
	if status := <-result; status != http.StatusOK {
		t.Errorf("upload: %d, want 200", status)
	}
	if _, metrics := do(t, http.MethodGet, s.admin+"/metrics", nil); !strings.Contains(string(metrics), "\ncosproxy_log_lines_dropped_total ") ||
		strings.Contains(string(metrics), "\ncosproxy_log_lines_dropped_total 0\n") {
		t.Error("the lost lines are not counted")
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.waitExit(t)
}
