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

// logged is what these tests read of a line of the log.
type logged struct {
	Msg    string
	Listen string `json:"cosproxy.listen"`
	Admin  string `json:"cosproxy.admin_listen"`
	Lines  int    `json:"cosproxy.log_lines_dropped"`
}

// logReader reads the log of a sidecar when the test says so.
type logReader struct {
	*os.File
	lines *bufio.Reader
}

// next returns the next line. It fails the test if none comes in time, or if the
// line is not JSON.
func (r *logReader) next(t *testing.T) logged {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, err := r.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	var line logged
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("a line of the log is not JSON: %v\n%s", err, text)
	}
	return line
}

// startLogging starts a sidecar with standard error on a pipe, which is read up
// to the line with its addresses, and no further.
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

// fillLog sends requests until their lines are more than the pipe and the queue
// hold. It returns how many.
func fillLog(t *testing.T, s *sidecar) int {
	t.Helper()
	const requests = 1000
	patient := &http.Client{Transport: client.Transport, Timeout: 10 * time.Second}
	key := s.url + "/" + strings.Repeat("%01", 500) // six bytes each in the log
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

// waitExit waits for the end of the process, within the time that a flush may
// take and some more.
func (s *sidecar) waitExit(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		t.Fatal("SIGTERM does not end the process")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// A log that nobody reads loses lines and harms nothing else; once it is read
// again, it says how many are missing.
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
		t.Fatalf("of %d lines %d were dropped", sent, dropped)
	}
	read := 0
	for {
		line := log.next(t)
		if strings.HasPrefix(line.Msg, "log lines were dropped") {
			if line.Lines != dropped || read+dropped < sent {
				t.Errorf("after %d requests, %d of them in the log: it says %d are missing, and the metric %d", sent, read, line.Lines, dropped)
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
	for log.next(t).Msg != "draining" { // the lines after the report are whole
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

// The end of the log's reader ends nothing else.
func TestLog_ReaderCloses(t *testing.T) {
	t.Parallel()
	s, log := startLogging(t)
	body, feed := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPut, s.url+"/upload", body)
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
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
	if status := <-answered; status != http.StatusOK {
		t.Errorf("upload: %d, want 200", status)
	}
	if _, metrics := do(t, http.MethodGet, s.admin+"/metrics", nil); !strings.Contains(string(metrics), "\ncosproxy_log_lines_dropped_total ") ||
		strings.Contains(string(metrics), "\ncosproxy_log_lines_dropped_total 0\n") {
		t.Error("the lines that were lost are not counted")
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.waitExit(t)
}
