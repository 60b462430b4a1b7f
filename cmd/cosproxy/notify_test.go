//go:build unix

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// notifySocket is the socket of a service manager.
func notifySocket(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify.sock")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	return path, func() string {
		t.Helper()
		message := make([]byte, 1000)
		n, err := c.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
}

// TestNotify_Process runs cosproxy as a unit with Type=notify and WatchdogSec=.
func TestNotify_Process(t *testing.T) {
	path, next := notifySocket(t)
	cmd := exec.Command("cosproxy")
	cmd.Env = settingsFor("PATH="+os.Getenv("PATH"), "COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=off", "COSPROXY_LOG_FORMAT=json",
		"COSPROXY_SHUTDOWN_DELAY=300ms", "TENCENTCLOUD_TOKEN="+testToken, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=100000")
	p := serving(t, cmd)
	if got := next(); got != "READY=1" {
		t.Errorf("first %q", got)
	}
	for range 2 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("then %q", got)
		}
	}
	p.stop()
	for next() != "STOPPING=1" { // until the deadline of next
	}
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("%q while requests are drained", got)
	}
	if code := <-p.exit; code != exitOK {
		t.Errorf("exit code %d; log:\n%s", code, p.logs.all())
	}
}

// TestNotify_FailedStart checks that a process that cannot serve does not report that it
// is ready.
func TestNotify_FailedStart(t *testing.T) {
	path, next := notifySocket(t)
	t.Setenv("NOTIFY_SOCKET", path)
	runFailing(t, "COSPROXY_ADMIN_LISTEN=unix://"+filepath.Join(t.TempDir(), "none", "admin.sock"))
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken)
	if got := next(); got != "READY=1" {
		t.Errorf("first %q", got)
	}
	p.end(t, exitOK)
	if got := next(); got != "STOPPING=1" {
		t.Errorf("then %q", got)
	}
}

// TestNotify_Unusable checks that cosproxy serves and warns.
func TestNotify_Unusable(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	t.Setenv("WATCHDOG_USEC", "1s")
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken)
	p.end(t, exitOK)
	if !strings.Contains(p.logs.all(), "systemd cannot be notified") || !strings.Contains(p.logs.all(), "WatchdogSec=") {
		t.Error(p.logs.all())
	}
}

func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release, ended := make(chan struct{}), make(chan struct{})
		var blocked atomic.Bool
		var notified atomic.Int64
		check := func() {
			if blocked.Load() {
				<-release
			}
		}
		go func() {
			watchdog(ctx, 10*time.Second, check, func() { notified.Add(1) })
			close(ended)
		}()
		after := func(d time.Duration, want int64) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := notified.Load(); got != want {
				t.Errorf("notified %d times, want %d", got, want)
			}
		}
		after(4*time.Second, 0)
		after(2*time.Second, 1)
		after(20*time.Second, 5)
		blocked.Store(true)
		after(time.Minute, 5)
		blocked.Store(false)
		close(release)
		after(time.Second, 7) // with the tick that came in the meantime
		cancel()
		<-ended
		after(time.Minute, 7)
	})
}
