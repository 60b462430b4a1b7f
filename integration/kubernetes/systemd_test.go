//go:build systemd

package kubernetes_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// maxExposure is the highest exposure that systemd-analyze security may report, times 10.
// The access to the network, which cosproxy needs, is most of it.
const maxExposure = "15"

func TestSystemd_Units(t *testing.T) {
	for name, environ := range environments(t, "systemd") {
		t.Run(name, func(t *testing.T) {
			units := writeUnits(t, environ)
			analyze(t, append([]string{"verify"}, units...)...)
			analyze(t, "security", "--offline=true", "--threshold="+maxExposure, units[0])
		})
	}
}

// TestSystemd_NastyValues checks that systemd can read the values. FuzzQuoteSystemd in
// cmd/cosproxy checks what it reads.
func TestSystemd_NastyValues(t *testing.T) {
	for _, value := range nasty {
		analyze(t, append([]string{"verify"}, writeUnits(t, with(t, "systemd", "COSPROXY_ROLE_EXTERNAL_ID="+value))...)...)
	}
}

// TestSystemd_Detects checks that a wrong line is an error.
func TestSystemd_Detects(t *testing.T) {
	units := writeUnits(t, environments(t, "systemd")["sts"])
	text, err := os.ReadFile(units[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(units[0], append(text, "[Service]\nProtectSystem=unknown\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", units[0]).CombinedOutput(); len(out) == 0 {
		t.Errorf("a wrong value is accepted: %v", err)
	}
}

// writeUnits writes the units with the path of the program of this test.
func writeUnits(t *testing.T, environ []string) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	manifest(t, environ, "systemd", "--output", dir)
	for _, name := range []string{"cosproxy.service", "cosproxy.socket"} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("ExecStart=/usr/local/bin/cosproxy\n"), []byte("ExecStart="+program+"\n"))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// analyze runs systemd-analyze. verify reports some problems as warnings with exit code 0,
// so it must print nothing.
func analyze(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil || args[0] == "verify" && len(out) > 0 {
		t.Errorf("systemd-analyze %v: %v\n%s", args, err, out)
	}
}
