package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"cosproxy/proxy/http1"
)

// TestDrain_DelayAcceptsRequests sends requests after SIGTERM, on an existing and on a new
// connection.
func TestDrain_DelayAcceptsRequests(t *testing.T) {
	cos := newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("x-cos-request-id", "id")
	})
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_ENDPOINT="+cos.URL, "COSPROXY_SHUTDOWN_DELAY=2s")
	if status, _ := p.get(t, p.app, "/uploads/a"); status != http.StatusOK {
		t.Fatalf("status %d before the signal", status)
	}
	p.stop()
	p.logs.wait(t, "draining")
	if status, body := p.get(t, p.admin, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("/readyz is %d %q", status, body)
	}
	for _, connection := range []string{"existing", "new"} {
		req, _ := http.NewRequest(http.MethodPut, "http://"+p.app+"/uploads/a", strings.NewReader("last"))
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatalf("%s connection: %v", connection, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("%s connection: status %d, Connection: close is %v", connection, resp.StatusCode, resp.Close)
		}
	}
	p.end(t, exitOK)
	if c, err := net.Dial("tcp", p.app); err == nil {
		c.Close()
		t.Error("connections are accepted after the end")
	}
}

// TestDrain_ResponseInFlightEndsConnection checks for Connection: close, since another
// request on the connection would fail.
func TestDrain_ResponseInFlightEndsConnection(t *testing.T) {
	cos, entered, release := blockingCOS(t)
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_ENDPOINT="+cos.URL, "COSPROXY_SHUTDOWN_DELAY=1s")
	closes := make(chan bool, 1)
	go func() {
		resp, err := p.client.Get("http://" + p.app + "/uploads/a")
		if err != nil {
			closes <- false
			return
		}
		resp.Body.Close()
		closes <- resp.Close
	}()
	<-entered
	p.stop()
	p.logs.wait(t, "draining")
	close(release)
	if !<-closes {
		t.Error("the response does not end its connection")
	}
	p.end(t, exitOK)
}

// TestDrain_TimeoutCountsFromSignal checks that the drain timeout includes the delay.
func TestDrain_TimeoutCountsFromSignal(t *testing.T) {
	cos, entered, _ := blockingCOS(t)
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_ENDPOINT="+cos.URL,
		"COSPROXY_SHUTDOWN_DELAY=2s", "COSPROXY_DRAIN_TIMEOUT=2100ms")
	done := p.getInBackground("http://" + p.app + "/uploads/a")
	<-entered
	began := time.Now()
	p.end(t, exitFailure)
	<-done
	if took := time.Since(began); took < 2*time.Second || took > 4*time.Second {
		t.Errorf("the process ended after %v, want about 2.1 s", took)
	}
}

func TestDrain_Settings(t *testing.T) {
	for _, tt := range []struct {
		delay, drain, want string
	}{
		{"5s", "25s", ""},
		{"0s", "0s", ""},
		{"25s", "25s", "COSPROXY_SHUTDOWN_DELAY leaves no time to drain"},
		{"5s", "0s", "COSPROXY_SHUTDOWN_DELAY leaves no time to drain"},
		{"-1s", "25s", "COSPROXY_SHUTDOWN_DELAY is negative"},
	} {
		_, err := loadConfig(settingsFor("COSPROXY_SHUTDOWN_DELAY="+tt.delay, "COSPROXY_DRAIN_TIMEOUT="+tt.drain))
		if got := fmt.Sprint(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("delay %s, drain %s: %s; want %q", tt.delay, tt.drain, got, tt.want)
		}
	}
	cfg, err := loadConfig(settingsFor())
	if err != nil || cfg.ShutdownDelay != 0 || cfg.DrainTimeout+http1.CloseGrace+logFlushTimeout >= 30*time.Second {
		t.Errorf("delay %v and drain timeout %v by default, error %v; Kubernetes kills after 30 s", cfg.ShutdownDelay, cfg.DrainTimeout, err)
	}
}

// TestSignals_IgnoredSIGHUP starts cosproxy with SIGHUP ignored, as nohup does.
func TestSignals_IgnoredSIGHUP(t *testing.T) {
	cos := newServer(t, httptest.NewServer, func(http.ResponseWriter, *http.Request) {})
	path, err := exec.LookPath("cosproxy")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `trap "" HUP; exec "$0"`, path)
	cmd.Env = settingsFor("COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=off", "COSPROXY_LOG_FORMAT=json",
		"COSPROXY_ENDPOINT="+cos.URL, "TENCENTCLOUD_TOKEN="+testToken)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{logs: readLogs(stderr), client: newClient(t)}
	p.app = fmt.Sprint(p.logs.wait(t, "serving")["cosproxy.listen"])
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if status, _ := p.get(t, p.app, "/uploads/a"); status != http.StatusOK {
		t.Errorf("status %d after an ignored SIGHUP", status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.logs.wait(t, "draining")
	if strings.Count(p.logs.all(), "draining") != 1 {
		t.Errorf("the log is\n%s", p.logs.all())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}
