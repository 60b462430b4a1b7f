package main

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnixSocket_Successor checks that a process removes its socket when it ends, but not
// one with which another process replaced it.
func TestUnixSocket_Successor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	p := start(t, "COSPROXY_LISTEN=unix://"+path, "TENCENTCLOUD_TOKEN="+testToken)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	successor := start(t, "COSPROXY_LISTEN=unix://"+path, "TENCENTCLOUD_TOKEN="+testToken)
	p.end(t, exitOK)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the successor's socket: %v", err)
	}
	_ = c.Close()
	successor.end(t, exitOK)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the successor did not remove its socket: %v", err)
	}
}

// TestSocketAccess_FollowsNoLink checks that a link in the directory does not make
// cosproxy change the permissions of another file.
func TestSocketAccess_FollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "app.sock"), file(t, "precious")
	other, err := net.Listen("unix", filepath.Join(dir, "other.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := os.Chmod(other.Addr().String(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string]func() error{
		"a link to a file":   func() error { return os.Symlink(victim, path) },
		"a link to a socket": func() error { return os.Symlink(other.Addr().String(), path) },
		"another socket":     func() error { return os.Link(other.Addr().String(), path) },
		"a file":             func() error { return os.Link(victim, path) },
	} {
		t.Run(name, func(t *testing.T) {
			l := listenUnix(t, path)
			socket, err := newSocketListener(l, path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := replace(); err != nil {
				t.Fatal(err)
			}
			cfg := &resolved{config: config{SocketMode: 0o666}, socketOwner: owner{true, os.Getuid(), os.Getgid()}}
			if err := cfg.setSocketAccess(socket); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("no error that names the path, but %v", err)
			}
			if _, err := newSocketListener(l, path); err == nil != (name == "another socket") {
				t.Errorf("used as the socket of a listener: %v", err)
			}
			if err := socket.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("the replacement of the socket was removed: %v", err)
			}
			for _, unchanged := range []string{victim, other.Addr().String()} {
				if info, err := os.Lstat(unchanged); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", unchanged, info, err)
				}
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func listenUnix(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSocketListener_ClosedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	socket, err := newSocketListener(listenUnix(t, path), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	other, err := net.Listen("unix", path) // it may have the same inode
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	_ = socket.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the second Close removed the socket of another listener: %v", err)
	}
}
