package integration_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var sources = []string{"sts", "role", "oidc", "cvm", "http", "file", "static"}

// TestSources runs the sidecar on each way to get a key, for longer than a key
// lives. The static one has only the one that it was given.
func TestSources(t *testing.T) {
	t.Parallel()
	for _, source := range sources {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			life := 4 * time.Second
			if source == "cvm" {
				// The metadata service has no new key before the last tenth of a
				// life, and tells expiries in whole seconds.
				life = 15 * time.Second
			}
			s := startCommand(t, exec.Command(filepath.Join(bin, "cosemu"), "-source", source, "-credentials-duration", life.String(), "--", program()),
				"COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0", "COSPROXY_LOG_FORMAT=json")
			s.waitReady(t)
			for end := time.Now().Add(life + 5*time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if status, body := do(t, http.MethodPut, s.url+"/a/key", strings.NewReader("hello")); status != http.StatusOK {
					t.Fatalf("PUT: %d %s", status, body)
				}
				if status, body := do(t, http.MethodGet, s.url+"/a/key", nil); status != http.StatusOK || string(body) != "hello" {
					t.Fatalf("GET: %d %s", status, body)
				}
			}
			if !strings.Contains(s.log.String(), `"cosproxy.source":"`+source+`"`) {
				t.Errorf("the log does not name the source %s", source)
			}
		})
	}
}

// TestCheckPasses: what cosemu sets up is in order, says cosproxy check.
func TestCheckPasses(t *testing.T) {
	t.Parallel()
	for _, source := range sources {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			check := exec.Command(filepath.Join(bin, "cosemu"), "-source", source, "--", program(), "check")
			check.Env = cleanEnv()
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
