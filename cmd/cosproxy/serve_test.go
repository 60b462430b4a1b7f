package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// blockingCOS closes entered when the first request arrives, and responds when release is
// closed, unless the connection ends before.
func blockingCOS(t *testing.T) (cos *httptest.Server, entered, release chan struct{}) {
	entered, release = make(chan struct{}), make(chan struct{})
	cos = newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-release:
			fmt.Fprint(w, "late")
		case <-r.Context().Done():
		}
	})
	return cos, entered, release
}

// outcomeOfGet is the result of a GET in the background.
type outcomeOfGet struct {
	body string
	err  error
}

func (p *process) getInBackground(url string) <-chan outcomeOfGet {
	done := make(chan outcomeOfGet, 1)
	go func() {
		resp, err := p.client.Get(url)
		if err != nil {
			done <- outcomeOfGet{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		done <- outcomeOfGet{string(body), err}
	}()
	return done
}

func TestServe_Upload(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	type seen struct{ target, authorization, token, body string }
	requests := make(chan seen, 1)
	cos := newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-cos-request-id", "id")
		body, _ := io.ReadAll(r.Body)
		requests <- seen{r.Method + " " + r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("x-cos-security-token"), string(body)}
	})
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ENDPOINT="+cos.URL)

	req, err := http.NewRequest(http.MethodPut, "http://"+p.app+"/uploads/a%20b", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	got := <-requests
	if got.target != "PUT /uploads/a%20b" || got.token != tmpToken || got.body != "hello" {
		t.Errorf("COS got %q with body %q; token correct: %t", got.target, got.body, got.token == tmpToken)
	}
	contains(t, got.authorization, "q-sign-algorithm=sha1", "q-ak="+tmpID)
	p.end(t, exitOK)

	line := p.logs.wait(t, "route")
	for name, want := range map[string]any{
		"cosproxy.route": "default", "cos.bucket": "examplebucket-1250000000", "cloud.region": "ap-guangzhou", "cosproxy.endpoint": cos.URL,
		"cosproxy.source": "sts", "cosproxy.source_auto": true, "cosproxy.allow_prefixes": "uploads/*", "cosproxy.allow_actions": "read,upload",
	} {
		if line[name] != want {
			t.Errorf("the line of the route has %s=%v, want %v", name, line[name], want)
		}
	}
	if line = p.logs.wait(t, "serving"); line["cosproxy.routes"] != 1.0 || line["service.version"] != version() {
		t.Errorf("the start line is %v", line)
	}
	line = p.logs.wait(t, "request")
	if line["http.request.method"] != "PUT" || line["cos.object_key"] != "uploads/a b" || line["http.response.status_code"] != 200.0 {
		t.Errorf("the access line is %v", line)
	}
	if n := sts.calls.Load(); n != 1 {
		t.Errorf("%d calls to STS, want 1", n)
	}
}

func TestServe_PrivateCA(t *testing.T) {
	sts := newSTS(t, httptest.NewTLSServer)
	cos := newServer(t, httptest.NewTLSServer, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CA_FILE="+certificateOf(t, cos),
		"COSPROXY_ENDPOINT=https://example.com", "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String())
	status, body := p.get(t, p.app, "/uploads/a")
	if status != http.StatusOK || body != "example.com" {
		t.Errorf("got %d %q, want the Host of the endpoint", status, body)
	}
	p.end(t, exitOK)
}

func TestServe_StaticCredentials(t *testing.T) {
	cos := newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"), r.Header.Get("x-cos-security-token") == testToken)
	})
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_STS_ENDPOINT=http://127.0.0.1:1", "COSPROXY_ENDPOINT="+cos.URL)
	_, body := p.get(t, p.app, "/uploads/a")
	contains(t, body, "q-ak=AKIDexample", "true")
	p.end(t, exitOK)
	if source := p.logs.wait(t, "route")["cosproxy.source"]; source != "static" {
		t.Errorf("source %v, want static", source)
	}
}

func TestServe_STSDownAtStart(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	cos := newServer(t, httptest.NewServer, func(http.ResponseWriter, *http.Request) {
		t.Error("a request was sent to COS without credentials")
	})
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ENDPOINT="+cos.URL)
	if status, body := p.get(t, p.app, "/uploads/a"); status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s, want 503", status, body)
	}
	status, body := p.get(t, p.admin, "/readyz")
	if status != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d, want 503", status)
	}
	contains(t, body, "no valid credentials", "AuthFailure.SecretIdNotFound")
	if status, _ := p.get(t, p.admin, "/livez"); status != http.StatusOK {
		t.Errorf("/livez is %d, want 200, since a restart would not help", status)
	}
	p.end(t, exitOK)
}

func TestServe_STSSilentAtStart(t *testing.T) {
	silent := newServer(t, httptest.NewServer, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server notices the end of the connection
		<-r.Context().Done()
	})
	p := start(t, "COSPROXY_STS_ENDPOINT="+silent.URL)
	status, body := p.get(t, p.admin, "/readyz")
	if status != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d, want 503", status)
	}
	contains(t, body, "no valid credentials yet")
	p.end(t, exitOK)
}

func TestDrain_WaitsForRequests(t *testing.T) {
	cos, entered, release := blockingCOS(t)
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_ENDPOINT="+cos.URL)
	done := p.getInBackground("http://" + p.app + "/uploads/a")
	<-entered
	p.stop()
	if n := p.logs.wait(t, "draining")["cosproxy.requests_in_flight"]; n != 1.0 {
		t.Errorf("%v requests in flight, want 1", n)
	}
	status, body := p.get(t, p.admin, "/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("/readyz is %d %q while draining", status, body)
	}
	for { // ends when the listener is closed
		c, err := net.Dial("tcp", p.app)
		if err != nil {
			break
		}
		c.Close()
	}
	close(release)
	if got := <-done; got.err != nil || got.body != "late" {
		t.Errorf("the request in flight got %q, %v", got.body, got.err)
	}
	p.end(t, exitOK)
}

func TestDrain_TimeoutCancelsRequests(t *testing.T) {
	cos, entered, _ := blockingCOS(t)
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_ENDPOINT="+cos.URL, "COSPROXY_DRAIN_TIMEOUT=1ms")
	done := p.getInBackground("http://" + p.app + "/uploads/a")
	<-entered
	p.end(t, exitFailure)
	if got := <-done; got.err != nil || !strings.Contains(got.body, "<Code>ServiceUnavailable</Code>") {
		t.Errorf("the canceled request got %q, %v", got.body, got.err)
	}
	if line := p.logs.wait(t, "request"); line["cos.object_key"] != "uploads/a" || line["http.response.status_code"] != 503.0 {
		t.Errorf("the access line is %v", line)
	}
	text, _ := p.logs.wait(t, "cosproxy failed")["error.message"].(string)
	contains(t, text, "drain timeout exceeded (requests canceled: 1);", "more than 1ms", "COSPROXY_DRAIN_TIMEOUT")
}

// TestDrain_TimeoutWithPartialBody has a request whose body does not arrive.
func TestDrain_TimeoutWithPartialBody(t *testing.T) {
	s, app := newTestSidecar(t, "COSPROXY_DRAIN_TIMEOUT=0s")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, listeners{"Listen": {app}}) }()
	c, err := net.Dial("tcp", app.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "PUT /uploads/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
	waitUntil(t, func() bool { return s.proxy.InFlight() == 1 })
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "(requests canceled: 1)") {
		t.Errorf("run returned %v, want one canceled request", err)
	}
	response, _ := io.ReadAll(c) // a reset may follow
	if !strings.Contains(string(response), "<Code>ServiceUnavailable</Code>") {
		t.Errorf("half a body got %q", response)
	}
}

// newTestSidecar returns a sidecar and a listener for it.
func newTestSidecar(t *testing.T, settings ...string) (*sidecar, net.Listener) {
	t.Helper()
	cfg, err := loadConfig(settingsFor(settings...))
	if err != nil {
		t.Fatal(err)
	}
	transports := newTransports(cfg)
	t.Cleanup(transports.close)
	s, err := newSidecar(cfg, slog.New(slog.DiscardHandler), transports)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.credentials.close)
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return s, app
}

// waitUntil fails the test if a condition does not become true in time.
func waitUntil(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the condition was not met within 10 s")
		}
	}
}

func TestServe_ListenerFails(t *testing.T) {
	s, app := newTestSidecar(t)
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.run(t.Context(), listeners{"Listen": {app}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("run returned %v, want the listener's error", err)
	}
}

// TestDrain_SilentConnection has a client that connects without sending a request.
func TestDrain_SilentConnection(t *testing.T) {
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_DRAIN_TIMEOUT=1ms")
	c, err := net.Dial("tcp", p.app)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p.end(t, exitOK)
}

// TestSignals_Process runs cosproxy as a separate process.
func TestSignals_Process(t *testing.T) {
	for _, tt := range []struct {
		name    string
		signals []os.Signal
		want    int
	}{
		{"SIGTERM waits for the request", []os.Signal{syscall.SIGTERM}, exitOK},
		{"SIGINT waits for the request", []os.Signal{os.Interrupt}, exitOK},
		{"SIGHUP waits for the request", []os.Signal{syscall.SIGHUP}, exitOK},
		{"second SIGHUP has no effect", []os.Signal{syscall.SIGTERM, syscall.SIGHUP}, exitOK},
		{"second signal exits immediately", []os.Signal{syscall.SIGTERM, os.Interrupt}, exitFailure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cos, entered, release := blockingCOS(t)
			cmd := exec.Command("cosproxy")
			cmd.Env = settingsFor("COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=off", "COSPROXY_LOG_FORMAT=json",
				"COSPROXY_ENDPOINT="+cos.URL, "TENCENTCLOUD_TOKEN="+testToken)
			stderr, w := io.Pipe()
			cmd.Stderr = w
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			p := &process{exit: make(chan int, 1), logs: readLogs(stderr), client: newClient(t)}
			go func() {
				_ = cmd.Wait() // the exit code is checked
				p.exit <- cmd.ProcessState.ExitCode()
				_ = w.Close() // always nil
			}()
			line := p.logs.wait(t, "serving")
			if line["cosproxy.admin_listen"] != "off" {
				t.Errorf("admin pages at %v, want off", line["cosproxy.admin_listen"])
			}
			done := p.getInBackground(fmt.Sprintf("http://%v/uploads/a", line["cosproxy.listen"]))
			<-entered
			for _, s := range tt.signals {
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				p.logs.wait(t, "draining")
			}
			if tt.want == exitOK {
				close(release)
			}
			if got := <-p.exit; got != tt.want {
				t.Errorf("exit code %d, want %d; log:\n%s", got, tt.want, p.logs.all())
			}
			if got := <-done; (got.err == nil) != (tt.want == exitOK) {
				t.Errorf("the request in flight got %q, %v", got.body, got.err)
			}
		})
	}
}
