package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// address returns the address of another listener than p.app and p.admin.
func (p *process) address(t *testing.T, name string) string {
	t.Helper()
	return p.logs.wait(t, "serving")["cosproxy."+name+"_listen"].(string)
}

// onLoopback returns an address for a listener on all addresses.
func onLoopback(t *testing.T, all string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(all)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// TestHealth_Pages listens on all addresses, which does not need COSPROXY_UNSAFE_LISTEN.
// The certificate, the client token and the Host do not matter.
func TestHealth_Pages(t *testing.T) {
	p := start(t, append(newPair(t, "a").settings(), "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_HEALTH_LISTEN=:0",
		"COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken), "COSPROXY_QUIT_TOKEN_FILE="+file(t, testToken))...)
	health := onLoopback(t, p.address(t, "health"))
	waitUntil(t, func() bool { status, _ := p.get(t, health, "/readyz"); return status == http.StatusOK })
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/livez", 200},
		{"GET", "/readyz", 200},
		{"GET", "/startupz", 200},
		{"GET", "/livez?verbose", 200},
		{"HEAD", "/livez", 200},
		{"HEAD", "/readyz", 200},
		{"POST", "/livez", 405},
		{"OPTIONS", "/readyz", 405},
		{"TRACE", "/readyz", 405},
		{"GET", "/", 404},
		{"GET", "/livez/", 404},
		{"GET", "//livez", 404},
		{"GET", "/../livez", 404},
		{"GET", "/metrics", 404},
		{"GET", "/status", 404},
		{"GET", "/uploads/a", 404},
		{"POST", "/quit", 404},
	} {
		req, err := http.NewRequest(tt.method, "http://"+health+tt.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "any.example"
		req.Header.Set("Authorization", "Bearer "+testToken)
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || len(body) > 0 || err != nil || !resp.Close {
			t.Errorf("%s %s: %s %q, %v, Connection: close is %t", tt.method, tt.path, resp.Status, body, err, resp.Close)
		}
		for name := range resp.Header {
			if name != "Date" && name != "Content-Length" && name != "Connection" && name != "Allow" {
				t.Errorf("%s %s: the response has %s", tt.method, tt.path, name)
			}
		}
	}
	p.end(t, exitOK)
}

// TestHealth_UntilTheEnd checks the pages while there are no credentials, and while
// requests are drained, in and after the delay.
func TestHealth_UntilTheEnd(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	cos, entered, release := blockingCOS(t)
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ENDPOINT="+cos.URL,
		"COSPROXY_HEALTH_LISTEN=127.0.0.1:0", "COSPROXY_SHUTDOWN_DELAY=300ms")
	health := p.address(t, "health")
	pages := func(phase string, ready int) {
		t.Helper()
		for path, want := range map[string]int{"/livez": 200, "/startupz": 200, "/readyz": ready} {
			for _, at := range []string{health, p.admin} {
				if status, body := p.get(t, at, path); status != want {
					t.Errorf("%s: %s is %d %q, want %d", phase, path, status, body, want)
				}
			}
		}
	}
	p.get(t, p.app, "/uploads/a") // waits for the first fetch
	pages("without credentials", 503)
	sts.down.Store(false)
	waitUntil(t, func() bool { status, _ := p.get(t, health, "/readyz"); return status == http.StatusOK })
	pages("with credentials", 200)

	done := p.getInBackground("http://" + p.app + "/uploads/a")
	<-entered
	p.stop()
	p.logs.wait(t, "draining")
	pages("in the delay", 503)
	for { // ends when the listener for applications is closed
		c, err := net.Dial("tcp", p.app)
		if err != nil {
			break
		}
		c.Close()
	}
	pages("after the delay", 503)
	close(release)
	if got := <-done; got.err != nil {
		t.Error(got.err)
	}
	p.end(t, exitOK)
	if c, err := net.Dial("tcp", health); err == nil {
		c.Close()
		t.Error("the health listener accepts connections after the end")
	}
}

// TestHealth_HeldConnections holds more connections than the limit: silent ones, halves
// of heads, and heads without their bodies. Probes succeed all the same.
func TestHealth_HeldConnections(t *testing.T) {
	for _, listen := range []string{"COSPROXY_HEALTH_LISTEN", "COSPROXY_METRICS_LISTEN"} {
		t.Run(listen, func(t *testing.T) {
			p := start(t, "TENCENTCLOUD_TOKEN="+testToken, listen+"=127.0.0.1:0", "COSPROXY_HEADER_TIMEOUT=5m")
			p.client.Timeout = time.Minute
			name, path := "health", "/livez"
			if listen == "COSPROXY_METRICS_LISTEN" {
				name, path = "metrics", "/metrics"
			}
			at := p.address(t, name)
			var held []net.Conn
			for i := range 3 * probeConns {
				c := dialWithin(t, at, time.Minute)
				fmt.Fprint(c, []string{"", "GET " + path + " HTTP/1.1\r\nHost:", "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"}[i%3])
				held = append(held, c)
				if i%10 == 9 {
					if status, _ := p.get(t, at, path); status != http.StatusOK {
						t.Errorf("%s is %d with %d held connections", path, status, i+1)
					}
				}
			}
			if _, err := io.ReadAll(held[0]); errors.Is(err, os.ErrDeadlineExceeded) { // a reset is right
				t.Error("the oldest connection is still open")
			}
			p.client.CloseIdleConnections()
			p.end(t, exitOK)
		})
	}
}

// TestHealth_BodyThatDoesNotArrive checks that a connection ends after the header timeout,
// though the limit of connections is not reached.
func TestHealth_BodyThatDoesNotArrive(t *testing.T) {
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_HEALTH_LISTEN=127.0.0.1:0", "COSPROXY_HEADER_TIMEOUT=300ms")
	for _, at := range []string{p.address(t, "health"), p.admin} {
		for _, request := range []string{"", "GET /livez HTTP/1.1\r\nHost", "POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"} {
			c := dialWithin(t, at, 20*time.Second)
			fmt.Fprint(c, request)
			if response, err := io.ReadAll(c); err != nil {
				t.Errorf("%q: %q, %v", request, response, err)
			}
		}
	}
	p.end(t, exitOK)
}

// TestHealth_OneRequestPerConnection sends several requests at once.
func TestHealth_OneRequestPerConnection(t *testing.T) {
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_HEALTH_LISTEN=[::1]:0")
	c := dialWithin(t, p.address(t, "health"), time.Minute)
	fmt.Fprint(c, strings.Repeat("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", 3))
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if rest, _ := io.ReadAll(r); len(rest) > 0 || resp.StatusCode != http.StatusOK { // a reset may follow
		t.Errorf("%s, and then %q", resp.Status, rest)
	}
	huge := dialWithin(t, p.address(t, "health"), time.Minute)
	go func() { _, _ = io.Copy(huge, io.LimitReader(neverending('a'), 1<<24)) }() // ends when the server closes
	if response, _ := io.ReadAll(huge); len(response) > 1000 {
		t.Errorf("a huge head got %d bytes", len(response))
	}
	p.end(t, exitOK)
}

type neverending byte

func (b neverending) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// TestMetrics_Listener checks that the listener has metrics only, and does not require
// the client token or COSPROXY_UNSAFE_LISTEN.
func TestMetrics_Listener(t *testing.T) {
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_METRICS_LISTEN=:0", "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken),
		"COSPROXY_QUIT_TOKEN_FILE="+file(t, testToken))
	metrics := onLoopback(t, p.address(t, "metrics"))
	status, body := p.get(t, metrics, "/metrics")
	if status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	contains(t, body, "cosproxy_credentials_ready{", "\ngo_goroutines ")
	for _, path := range []string{"/", "/status", "/livez", "/readyz", "/quit", "/metrics/"} {
		if status, body := p.get(t, metrics, path); status != http.StatusNotFound || strings.Contains(body, "examplebucket") {
			t.Errorf("%s is %d %q", path, status, body)
		}
	}
	for header, want := range map[string]int{"Origin": http.StatusForbidden, "Host": http.StatusMisdirectedRequest} {
		req, err := http.NewRequest(http.MethodGet, "http://"+metrics+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if req.Header.Set("Origin", "http://evil.example"); header == "Host" {
			req.Host = "evil.example"
		}
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("another %s: %s", header, resp.Status)
		}
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
}

// TestMetrics_TLS checks that the certificate applies to the metrics listener.
func TestMetrics_TLS(t *testing.T) {
	p := start(t, append(newPair(t, "a").settings(), "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_METRICS_LISTEN=localhost:0")...)
	if status := p.secureGet(t, p.address(t, "metrics"), "/metrics"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
}

func TestListeners_Settings(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes []string
		want    []string
	}{
		{"health is admin", []string{"COSPROXY_HEALTH_LISTEN=127.0.0.1:4361"}, []string{"COSPROXY_HEALTH_LISTEN is the same address as COSPROXY_ADMIN_LISTEN"}},
		{"metrics is health", []string{"COSPROXY_HEALTH_LISTEN=:1", "COSPROXY_METRICS_LISTEN=:1"}, []string{"COSPROXY_METRICS_LISTEN is the same address as COSPROXY_HEALTH_LISTEN"}},
		{"any free port", []string{"COSPROXY_HEALTH_LISTEN=:0", "COSPROXY_METRICS_LISTEN=:0"}, nil},
		{"off", []string{"COSPROXY_HEALTH_LISTEN=off", "COSPROXY_METRICS_LISTEN=off", "COSPROXY_ADMIN_LISTEN=off"}, nil},
		{"not an address", []string{"COSPROXY_HEALTH_LISTEN=4362"}, []string{`COSPROXY_HEALTH_LISTEN is invalid: "4362" is not host:port (example: :4362)`}},
		{"systemd twice", []string{"COSPROXY_ADMIN_LISTEN=systemd:a", "COSPROXY_HEALTH_LISTEN=systemd"}, []string{"COSPROXY_HEALTH_LISTEN and COSPROXY_ADMIN_LISTEN are both sockets from systemd"}},
		{"systemd by name", []string{"COSPROXY_LISTEN=systemd:a", "COSPROXY_HEALTH_LISTEN=systemd:b", "COSPROXY_METRICS_LISTEN=systemd:c"}, nil},
		{"endpoint leads to metrics", []string{"COSPROXY_METRICS_LISTEN=:4363", "COSPROXY_ENDPOINT=http://127.0.0.1:4363"}, []string{"COSPROXY_ENDPOINT leads to 127.0.0.1:4363, which is a listener of cosproxy itself (COSPROXY_METRICS_LISTEN="}},
		{"quit without admin", []string{"COSPROXY_ADMIN_LISTEN=off", "COSPROXY_QUIT_TOKEN_FILE=" + file(t, "0123456789abcdef")}, []string{"COSPROXY_QUIT_TOKEN_FILE requires the admin listener, but COSPROXY_ADMIN_LISTEN is off"}},
		{"quit token empty", []string{"COSPROXY_QUIT_TOKEN_FILE=" + file(t, " ")}, []string{"COSPROXY_QUIT_TOKEN_FILE cannot be used"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(settingsFor(tt.changes...))
			wantProblems(t, err, tt.want)
			if err == nil && len(cfg.warnings) > 0 {
				t.Errorf("warnings: %q", cfg.warnings)
			}
		})
	}
}

// TestSystemd_PublicHealthSocket checks that a socket from systemd on all addresses needs
// COSPROXY_UNSAFE_LISTEN only for the other listeners.
func TestSystemd_PublicHealthSocket(t *testing.T) {
	var a activated
	at := a.add(t, "health", "tcp", "0.0.0.0:0")
	p := a.start(t, "COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=off", "COSPROXY_HEALTH_LISTEN=systemd")
	if status, _ := p.get(t, onLoopback(t, at.String()), "/livez"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	p.end(t, exitOK)
}
