package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runFailing runs cosproxy with settings with which it cannot serve, and returns its log.
func runFailing(t *testing.T, environ ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	environ = append(settingsFor("COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0"), environ...)
	if code := run(context.Background(), nil, environ, streams{out: io.Discard, err: &stderr}); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	return stderr.String()
}

func TestListen_PortInUse(t *testing.T) {
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inUse.Close() })
	for _, name := range []string{"COSPROXY_LISTEN", "COSPROXY_ADMIN_LISTEN"} {
		log := runFailing(t, name+"="+inUse.Addr().String())
		contains(t, log, name+":", inUse.Addr().String(), "address already in use", "use another one")
	}
}

func TestUnixSocket_Serves(t *testing.T) {
	dir := t.TempDir()
	app, admin := filepath.Join(dir, "app.sock"), filepath.Join(dir, "admin.sock")
	p := start(t, "COSPROXY_LISTEN=unix://"+app, "COSPROXY_ADMIN_LISTEN=unix://"+admin, "TENCENTCLOUD_TOKEN="+testToken)
	if p.app != "unix://"+app || p.admin != "unix://"+admin {
		t.Errorf("the start line has %s and %s", p.app, p.admin)
	}
	for path, want := range map[string]int{app: http.StatusForbidden, admin: http.StatusNotFound} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, info.Mode())
		}
		p.client.Transport.(*http.Transport).DialContext = dialer(path)
		if status, _ := p.get(t, "localhost", "/outside"); status != want {
			t.Errorf("%s responded with %d, want %d", path, status, want)
		}
		p.client.CloseIdleConnections()
	}
	p.end(t, exitOK)
	for _, path := range []string{app, admin} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s still exists after the end", path)
		}
	}
}

func TestUnixSocket_Stale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	killed, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	killed.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, "COSPROXY_LISTEN=unix://"+path, "TENCENTCLOUD_TOKEN="+testToken).end(t, exitOK)
}

func TestUnixSocket_InUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	contains(t, runFailing(t, "COSPROXY_LISTEN=unix://"+path), "COSPROXY_LISTEN:", "another process listens on "+path)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of the other process: %v", err)
	}
}

func TestUnixSocket_FileExists(t *testing.T) {
	path := file(t, "precious")
	contains(t, runFailing(t, "COSPROXY_LISTEN=unix://"+path), "COSPROXY_LISTEN:", path+" exists and is not a socket")
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Errorf("the file was changed: %q, %v", content, err)
	}
}

func TestUnixSocket_NoDirectory(t *testing.T) {
	log := runFailing(t, "COSPROXY_ADMIN_LISTEN=unix://"+filepath.Join(t.TempDir(), "none", "admin.sock"))
	contains(t, log, "COSPROXY_ADMIN_LISTEN:", "no such file or directory")
	if strings.Contains(log, "serving") {
		t.Error("the log has the line serving")
	}
}

// dialer returns a dial function that always connects to the Unix socket at path.
func dialer(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}
