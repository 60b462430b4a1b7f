package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// activated runs cosproxy with named sockets, as systemd does.
type activated struct {
	names []string
	files []*os.File
}

func (a *activated) add(t *testing.T, name, network, address string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	if unix, ok := l.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	l.Close()
	t.Cleanup(func() { f.Close() })
	a.names, a.files = append(a.names, name), append(a.files, f)
	return l.Addr()
}

// command returns a command that runs cosproxy with the sockets. The shell sets
// LISTEN_PID, as systemd does.
func (a *activated) command(environ ...string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", "LISTEN_PID=$$ exec cosproxy")
	cmd.ExtraFiles = a.files
	cmd.Env = append(settingsFor("PATH="+os.Getenv("PATH"), "COSPROXY_LOG_FORMAT=json", "TENCENTCLOUD_TOKEN="+testToken,
		fmt.Sprint("LISTEN_FDS=", len(a.files)), "LISTEN_FDNAMES="+strings.Join(a.names, ":")), environ...)
	return cmd
}

// fails runs cmd, which must fail, and returns its output.
func fails(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	tooLong := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // it serves
	defer tooLong.Stop()
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitFailure {
		t.Errorf("it ended with %v", err)
	}
	return string(out)
}

func (a *activated) start(t *testing.T, environ ...string) *process {
	t.Helper()
	return serving(t, a.command(environ...))
}

// serving starts cmd and waits until it serves.
func serving(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	stderr, w := io.Pipe()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{exit: make(chan int, 1), logs: readLogs(stderr), client: newClient(t)}
	p.stop = func() { _ = cmd.Process.Signal(os.Interrupt) }
	go func() {
		_ = cmd.Wait() // the exit code is checked
		p.exit <- cmd.ProcessState.ExitCode()
		_ = w.Close() // always nil
	}()
	line := p.logs.wait(t, "serving")
	p.app, p.admin = line["cosproxy.listen"].(string), line["cosproxy.admin_listen"].(string)
	return p
}

func TestSystemd_Socket(t *testing.T) {
	var a activated
	at := a.add(t, "cosproxy.socket", "tcp", "127.0.0.1:0")
	p := a.start(t, "COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=off")
	if p.app != at.String() {
		t.Errorf("it listens on %s, want %s", p.app, at)
	}
	if status, _ := p.get(t, at.String(), "/outside"); status != http.StatusForbidden {
		t.Errorf("status %d", status)
	}
	p.end(t, exitOK)
}

// TestSystemd_TwoSockets enables TLS, which applies to TCP only.
func TestSystemd_TwoSockets(t *testing.T) {
	var a activated
	path := filepath.Join(t.TempDir(), "admin.sock")
	a.add(t, "admin", "unix", path)
	at := a.add(t, "app", "tcp", "127.0.0.1:0")
	p := a.start(t, append(newPair(t, "systemd").settings(), "COSPROXY_LISTEN=systemd:app", "COSPROXY_ADMIN_LISTEN=systemd:admin")...)
	if status := p.secureGet(t, at.String(), "/outside"); status != http.StatusForbidden {
		t.Errorf("app: %d", status)
	}
	unix := newClient(t)
	unix.Transport.(*http.Transport).DialContext = dialer(path)
	resp, err := unix.Get("http://localhost/livez")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("admin: %s", resp.Status)
	}
	unix.CloseIdleConnections()
	p.end(t, exitOK)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of systemd was removed: %v", err)
	}
}

func TestSystemd_NonLoopback(t *testing.T) {
	var a activated
	a.add(t, "app", "tcp", "0.0.0.0:0")
	contains(t, fails(t, a.command("COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=off")), "COSPROXY_LISTEN: systemd listens on ", "which other machines can reach", "ListenStream=", "COSPROXY_UNSAFE_LISTEN=true")

	p := a.start(t, "COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=off", "COSPROXY_UNSAFE_LISTEN=true")
	p.logs.contain(t, "is reachable from other machines: every client can use the bucket")
	p.end(t, exitOK)
}

func TestSystemd_UnusableSockets(t *testing.T) {
	for _, tt := range []struct {
		name    string
		sockets []string
		listen  string
		text    string
	}{
		{"no socket", nil, "systemd", "systemd passed no socket to this process"},
		{"no socket of that name", []string{"app"}, "systemd:web", "systemd passed no socket named web, but app"},
		{"no name", []string{"b", "a"}, "systemd", "systemd passed several sockets, a, b; use systemd:NAME"},
		{"one name twice", []string{"a", "a"}, "systemd:a", "systemd passed several sockets, a, a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a activated
			for _, name := range tt.sockets {
				a.add(t, name, "tcp", "127.0.0.1:0")
			}
			contains(t, fails(t, a.command("COSPROXY_LISTEN="+tt.listen, "COSPROXY_ADMIN_LISTEN=off")), "COSPROXY_LISTEN: "+tt.text)
		})
	}
	t.Run("sockets of another process", func(t *testing.T) {
		var a activated
		a.add(t, "app", "tcp", "127.0.0.1:0")
		cmd := a.command("COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=off")
		cmd.Args = []string{"sh", "-c", "LISTEN_PID=1 exec cosproxy"}
		contains(t, fails(t, cmd), "systemd passed no socket")
	})
	t.Run("a pipe", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		a := activated{names: []string{"app"}, files: []*os.File{r}}
		defer r.Close()
		contains(t, fails(t, a.command("COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=off")), "socket app from systemd is not a listening socket")
	})
}
