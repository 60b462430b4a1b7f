package integration_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sources are the values of cosemu -source.
var sources = []string{"sts", "role", "oidc", "cvm", "http", "file", "static", "oidc-role", "cvm-role"}

// TestSources_Rotation runs the sidecar with each source for longer than the lifetime
// of the credentials. The static source has only one set.
func TestSources_Rotation(t *testing.T) {
	t.Parallel()
	for _, source := range sources {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			life := 4 * time.Second
			if strings.HasPrefix(source, "cvm") {
				// The metadata service has new credentials only in the last tenth of
				// the lifetime, and its expiries are whole seconds.
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
			if !strings.Contains(s.log.String(), `"cosproxy.source":"`+strings.TrimSuffix(source, "-role")+`"`) {
				t.Errorf("the log does not name the source %s", source)
			}
		})
	}
}

// TestSources_Check checks that cosproxy check accepts the environment of cosemu.
func TestSources_Check(t *testing.T) {
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
