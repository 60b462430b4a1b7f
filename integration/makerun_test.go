package integration_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun_Emulator starts the command of `make run`: the emulator with the sidecar,
// without other settings. cosemu forwards a signal to the sidecar and returns its exit
// code.
func TestRun_Emulator(t *testing.T) {
	t.Parallel()
	s := startCommand(t, exec.Command(filepath.Join(bin, "cosemu"), "--", program()),
		"COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0", "COSPROXY_LOG_FORMAT=json")
	if status, body := do(t, http.MethodPut, s.url+"/greetings/hello.txt", strings.NewReader("hello")); status != http.StatusOK {
		t.Fatalf("PUT: %d %s", status, body)
	}
	if status, body := do(t, http.MethodGet, s.url+"/greetings/hello.txt", nil); status != http.StatusOK || string(body) != "hello" {
		t.Errorf("GET: %d %s", status, body)
	}
	status, list := do(t, http.MethodGet, s.url+"/?prefix=greetings/", nil)
	if status != http.StatusOK || !strings.Contains(string(list), "<Key>greetings/hello.txt</Key>") {
		t.Errorf("list: %d %s", status, list)
	}
	if status, page := do(t, http.MethodGet, s.admin+"/status", nil); status != http.StatusOK || !strings.Contains(string(page), bucket) {
		t.Errorf("status page: %d %s", status, page)
	}
	if code := s.stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
