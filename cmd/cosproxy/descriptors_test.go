package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestDescriptors_ConnLimits(t *testing.T) {
	for _, tt := range []struct {
		name             string
		descriptors      int64
		requests, queued int
		app, admin       int64
	}{
		{"half of the free ones", 64, 1024, 1024, 12, 16},
		{"exactly sufficient", 3112, 1024, 1024, 2048, 16},
		{"one less", 3111, 1024, 1024, 2047, 16},
		{"one connection to COS leaves the rest to clients", 1024, 1, 0, 743, 256},
		{"many", 1 << 20, 1024, 1024, (1 << 20) - 1024 - 24 - 256, 256},
		{"very few", 20, 1024, 1024, 4, 16},
		{"no limit", math.MaxInt32, 1024, 0, math.MaxInt32 - 1024 - 24 - 256, 256},
		{"huge settings", 64, math.MaxInt, math.MaxInt, 12, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &config{MaxRequests: tt.requests, MaxQueued: tt.queued}
			app, admin := c.connLimits(tt.descriptors)
			if app != tt.app || admin != tt.admin {
				t.Errorf("got %d for applications and %d for admin, want %d and %d", app, admin, tt.app, tt.admin)
			}
			used := app + min(app, c.upstreamConns()) + admin + otherDescriptors
			if tt.descriptors >= 64 && used > tt.descriptors {
				t.Errorf("together they can take %d of %d descriptors", used, tt.descriptors)
			}
			if enough := tt.descriptors >= c.neededDescriptors(); enough != (app >= c.wantedConns()) {
				t.Errorf("sufficient: %v, with %d of %d connections", enough, app, c.wantedConns())
			}
		})
	}
}

// TestDescriptors_ProbeListeners checks that connections of probes take none from
// applications.
func TestDescriptors_ProbeListeners(t *testing.T) {
	c := &config{MaxRequests: 1024, MaxQueued: 1024}
	without := c.neededDescriptors()
	c.HealthListen, c.MetricsListen = address{"tcp", ":1"}, address{"tcp", ":2"}
	if got := c.neededDescriptors(); got != without+2*probeConns {
		t.Errorf("%d descriptors are needed, want %d", got, without+2*probeConns)
	}
	if app, _ := c.connLimits(without + 2*probeConns); app < c.wantedConns() {
		t.Errorf("%d connections of applications, want %d", app, c.wantedConns())
	}
}

func TestDescriptors_Warning(t *testing.T) {
	c := &config{MaxRequests: 100, MaxQueued: 50}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	c.warnDescriptors(logger, 290)
	if log.Len() > 0 {
		t.Errorf("warning for a sufficient limit: %s", &log)
	}
	c.warnDescriptors(logger, 289)
	contains(t, log.String(), "level=WARN", "file descriptors", "COSPROXY_MAX_REQUESTS", "COSPROXY_MAX_QUEUED",
		"ulimit -Hn", "LimitNOFILE=", "cosproxy.descriptor_limit=289", "cosproxy.descriptors_needed=290", "cosproxy.max_connections=149")
}

// TestDescriptors_LowLimit has more clients than descriptors. Clients do not close their
// connections.
func TestDescriptors_LowLimit(t *testing.T) {
	upstream := newServer(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(50 * time.Millisecond) // so that many requests are concurrent
		fmt.Fprint(w, "hello")
	})
	cmd := exec.Command("sh", "-c", "ulimit -n 64; exec cosproxy")
	cmd.Env = settingsFor("PATH="+os.Getenv("PATH"), "COSPROXY_LOG_FORMAT=json", "TENCENTCLOUD_TOKEN="+testToken,
		"COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0",
		"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO="+upstream.Listener.Addr().String())
	p := serving(t, cmd)
	p.logs.contain(t, `"level":"WARN"`, "file descriptors", `"cosproxy.descriptor_limit":64`, `"cosproxy.descriptors_needed":3112`)

	var clients []net.Conn
	for range 100 {
		clients = append(clients, dialWithin(t, p.app, time.Minute))
		fmt.Fprint(clients[len(clients)-1], "GET /uploads/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	for i, c := range clients {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("client %d: %s", i, resp.Status)
		}
	}
	if status, body := p.get(t, p.app, "/uploads/a"); status != http.StatusOK || body != "hello" {
		t.Errorf("a new client got %d %q", status, body)
	}
	if status, _ := p.get(t, p.admin, "/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
}

// dialWithin connects to address and sets a deadline for the connection.
func dialWithin(t *testing.T, address string, limit time.Duration) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(limit))
	t.Cleanup(func() { c.Close() })
	return c
}
