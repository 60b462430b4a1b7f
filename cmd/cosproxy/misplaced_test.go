//go:build unix

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fileSettings returns all variables for paths of files, with environments in which the
// file is used.
func fileSettings(t *testing.T, path string) map[string][]string {
	t.Helper()
	all := map[string][]string{
		"TENCENTCLOUD_SECRET_ID_FILE":         {"TENCENTCLOUD_SECRET_ID="},
		"TENCENTCLOUD_SECRET_KEY_FILE":        {"TENCENTCLOUD_SECRET_KEY="},
		"TENCENTCLOUD_TOKEN_FILE":             nil,
		"TKE_WEB_IDENTITY_TOKEN_FILE":         {"COSPROXY_SOURCE=oidc", "TKE_PROVIDER_ID=cls-a", "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/a"},
		"COSPROXY_CREDENTIALS_URL_TOKEN_FILE": {"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=http://127.0.0.1:1/"},
		"COSPROXY_CREDENTIALS_FILE":           {"COSPROXY_SOURCE=file"},
		"COSPROXY_CLIENT_TOKEN_FILE":          nil,
		"COSPROXY_QUIT_TOKEN_FILE":            nil,
		"COSPROXY_CA_FILE":                    nil,
		"COSPROXY_TLS_CERT_FILE":              {"COSPROXY_TLS_KEY_FILE=" + newPair(t, "a").key},
		"COSPROXY_TLS_KEY_FILE":               {"COSPROXY_TLS_CERT_FILE=" + newPair(t, "a").cert},
	}
	for _, s := range settings() {
		if _, known := all[s.variable]; !known && strings.HasSuffix(s.variable, "_FILE") && !isIssuerField(s.field) {
			t.Errorf("%s is not tested", s.variable)
		}
	}
	for name, environ := range all {
		all[name] = append(environ, name+"="+path)
	}
	return all
}

// TestMisplacedSecret_InFileSetting sets a secret instead of the path of its file. The
// problem is reported, but error, log and admin pages do not contain the secret.
func TestMisplacedSecret_InFileSetting(t *testing.T) {
	for name, environ := range fileSettings(t, "/"+testKey) {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(settingsFor(environ...))
			if err != nil {
				noSecrets(t, err.Error())
				contains(t, err.Error(), name)
				return
			}
			p := start(t, append(environ, "COSPROXY_STS_ENDPOINT=http://127.0.0.1:1")...)
			status, body := p.get(t, p.app, "/uploads/a")
			_, page := p.get(t, p.admin, "/status")
			if status != http.StatusServiceUnavailable || !strings.Contains(page, "no such file") {
				t.Errorf("%d %s\n%s", status, body, page)
			}
			p.end(t, exitOK)
			noSecrets(t, body+page+p.logs.all())
		})
	}
}

// TestFiles_BlockingOrEndless checks that pipes and devices are reported and do not block.
func TestFiles_BlockingOrEndless(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		for name, environ := range fileSettings(t, path) {
			t.Run(name+"="+path, func(t *testing.T) {
				began := time.Now()
				_, err := loadConfig(settingsFor(environ...))
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the settings took %v", took)
				}
				if err != nil {
					contains(t, err.Error(), name, "it is not a regular file")
					return
				}
				p := start(t, append(environ, "COSPROXY_STS_ENDPOINT=http://127.0.0.1:1")...)
				if status, body := p.get(t, p.app, "/uploads/a"); status != http.StatusServiceUnavailable {
					t.Errorf("%d %s", status, body)
				}
				if _, page := p.get(t, p.admin, "/status"); !strings.Contains(page, "it is not a regular file") {
					t.Error(page)
				}
				p.end(t, exitOK)
			})
		}
	}
}

// TestClientToken_FileBecomesPipe checks that requests are rejected without delay, until
// the file is valid again.
func TestClientToken_FileBecomesPipe(t *testing.T) {
	path := file(t, testToken)
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_CLIENT_TOKEN_FILE="+path)
	becomes := func(want int) {
		t.Helper()
		for range 600 {
			began := time.Now()
			status, _ := p.getWith(t, "http://"+p.app+"/outside", "Authorization", "Bearer "+testToken)
			if took := time.Since(began); took > 2*readTimeout {
				t.Fatalf("a request waited %v", took)
			}
			if status == want {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("status %d never occurred", want)
	}
	becomes(http.StatusForbidden)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	becomes(http.StatusServiceUnavailable)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(testToken), 0o600); err != nil {
		t.Fatal(err)
	}
	becomes(http.StatusForbidden)
	p.end(t, exitOK)
}

func TestClientToken_ShortTokenWarning(t *testing.T) {
	path := file(t, testToken)
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_CLIENT_TOKEN_FILE="+path)
	p.getWith(t, "http://"+p.app+"/outside")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 0; !strings.Contains(p.logs.all(), "COSPROXY_CLIENT_TOKEN_FILE contains a token of 5 bytes"); i++ {
		if i == 300 {
			t.Fatal("the warning is missing")
		}
		p.getWith(t, "http://"+p.app+"/outside")
		time.Sleep(20 * time.Millisecond)
	}
	p.end(t, exitOK)
}

// TestMisplacedSecret_PasswordInAddress checks that messages contain no URL with a
// password.
func TestMisplacedSecret_PasswordInAddress(t *testing.T) {
	for _, name := range []string{
		"COSPROXY_CONNECT_TO", "COSPROXY_LISTEN", "COSPROXY_ADMIN_LISTEN", "COSPROXY_HEALTH_LISTEN", "COSPROXY_METRICS_LISTEN", "COSPROXY_ALLOWED_HOSTS", "COSPROXY_HOSTS", "COSPROXY_ALLOWED_ORIGINS",
		"COSPROXY_ENDPOINT", "COSPROXY_STS_ENDPOINT", "COSPROXY_CREDENTIALS_URL", "COSPROXY_CVM_METADATA_ENDPOINT", "HTTP_PROXY",
	} {
		for _, url := range []string{"http://user:%s@proxy.internal:3128", "user:%s@proxy.internal:1", "ftp://user:%s@h/a", "http://user:%s/x@h"} {
			environ := []string{name + "=" + fmt.Sprintf(url, testKey), "COSPROXY_SOURCE=sts"}
			switch name {
			case "COSPROXY_CREDENTIALS_URL":
				environ[1] = "COSPROXY_SOURCE=http"
			case "COSPROXY_CVM_METADATA_ENDPOINT":
				environ[1] = "COSPROXY_SOURCE=cvm"
			}
			cfg, err := loadConfig(settingsFor(environ...))
			noSecrets(t, fmt.Sprint(err, cfg.warnings))
			if err == nil && name != "HTTP_PROXY" {
				t.Errorf("%s: no problem is reported", environ[0])
			}
		}
	}
	_, err := loadConfig(settingsFor("COSPROXY_ENDPOINT=https://{bucket}.example/?sign=" + testKey))
	noSecrets(t, fmt.Sprint(err))
}
