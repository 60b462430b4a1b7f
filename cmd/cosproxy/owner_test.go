//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUnixSocket_ModeAndOwner sets the owner to another user if it runs as root, else to
// the current user.
func TestUnixSocket_ModeAndOwner(t *testing.T) {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 12345, 23456
	}
	dir := t.TempDir()
	app, admin := filepath.Join(dir, "app.sock"), filepath.Join(dir, "admin.sock")
	p := start(t, "COSPROXY_LISTEN=unix://"+app, "COSPROXY_ADMIN_LISTEN=unix://"+admin, "TENCENTCLOUD_TOKEN="+testToken,
		"COSPROXY_SOCKET_MODE=0660", fmt.Sprintf("COSPROXY_SOCKET_OWNER=%d:%d", uid, gid))
	for _, path := range []string{app, admin} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		if info.Mode().Perm() != 0o660 || stat.Uid != uint32(uid) || stat.Gid != uint32(gid) {
			t.Errorf("%s has %v %d:%d", path, info.Mode(), stat.Uid, stat.Gid)
		}
	}
	p.end(t, exitOK)
}

// TestUnixSocket_PrivateFromStart checks that the umask does not affect a new socket.
func TestUnixSocket_PrivateFromStart(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "app.sock")
	lc := net.ListenConfig{Control: restrictSocket}
	l, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want 0600", info.Mode(), err)
	}
}

func TestOwnerName_LookUp(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	for text, want := range map[string]owner{
		me.Username:                    {true, uid, -1},
		me.Username + ":":              {true, uid, -1},
		me.Username + ":" + group.Name: {true, uid, gid},
		":" + group.Name:               {true, -1, gid},
		"4242:2424":                    {true, 4242, 2424},
		":2424":                        {true, -1, 2424},
	} {
		var name ownerName
		if err := name.UnmarshalText([]byte(text)); err != nil {
			t.Error(err)
		}
		if got, err := name.lookUp(); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// TestUnixSocket_OwnerNotPermitted runs cosproxy as a user without the permission to change the
// owner.
func TestUnixSocket_OwnerNotPermitted(t *testing.T) {
	dir := t.TempDir()
	executable, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "cosproxy") // testscript selects the command by this name
	if err := os.WriteFile(program, executable, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	cmd.Env = settingsFor("COSPROXY_LISTEN=unix://"+filepath.Join(dir, "app.sock"), "COSPROXY_ADMIN_LISTEN=off",
		"TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_SOCKET_OWNER=0:0")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("it serves")
	}
	contains(t, string(out), "COSPROXY_LISTEN: COSPROXY_SOCKET_OWNER: chown", "operation not permitted", "run cosproxy as this user, in this group, or as root")
}
