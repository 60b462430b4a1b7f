package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// getWith returns status and body of a GET with headers, given as pairs.
func (p *process) getWith(t *testing.T, url string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestClientToken_BothListeners checks that probes work without the token and reveal no
// details. start checks that the log contains no token.
func TestClientToken_BothListeners(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken+"\n"))
	valid, invalid := []string{"Authorization", "Bearer " + testToken}, []string{"Authorization", "Bearer wrong"}
	foreign := []string{"Origin", "https://evil.example"}
	p.getWith(t, "http://"+p.app+"/uploads/a", valid...) // waits for the first fetch
	for _, tt := range []struct {
		address, path string
		headers       []string
		status        int
		want, hidden  string
	}{
		{p.app, "/uploads/a", nil, 401, "COSPROXY_CLIENT_TOKEN_FILE", ""},
		{p.app, "/uploads/a", invalid, 401, "COSPROXY_CLIENT_TOKEN_FILE", ""},
		{p.app, "/uploads/a", valid, 503, "no valid credentials", ""},
		{p.admin, "/", nil, 401, "", "status"},
		{p.admin, "/status", nil, 401, "", "bucket  "},
		{p.admin, "/status", invalid, 401, "", "bucket  "},
		{p.admin, "/status", valid, 200, "bucket  ", ""},
		{p.admin, "/status", []string{"Proxy-Authorization", "Bearer " + testToken}, 200, "bucket  ", ""},
		{p.admin, "/metrics", nil, 401, "", "go_goroutines"},
		{p.admin, "/metrics", valid, 200, "go_goroutines", ""},
		{p.admin, "/livez", nil, 200, "ok", ""},
		{p.admin, "/livez", invalid, 401, "", ""},
		{p.admin, "/startupz", nil, 200, "ok", ""},
		{p.admin, "/quit", nil, 401, "", "quit token"},
		{p.admin, "/livez", valid, 200, "ok", ""},
		{p.admin, "/livez", foreign, 403, "COSPROXY_ALLOWED_ORIGINS", ""},
		{p.admin, "/readyz", nil, 503, "not ready", "AuthFailure"},
		{p.admin, "/readyz", invalid, 401, "", "AuthFailure"},
		{p.admin, "/readyz", valid, 503, "AuthFailure", ""},
		{p.admin, "/readyz/", nil, 401, "", "AuthFailure"},
		{p.admin, "//readyz", nil, 401, "", "AuthFailure"},
		{p.admin, "/livez/../status", nil, 401, "", "bucket  "},
	} {
		status, body := p.getWith(t, "http://"+tt.address+tt.path, tt.headers...)
		if status != tt.status || !strings.Contains(body, tt.want) || tt.hidden != "" && strings.Contains(body, tt.hidden) {
			t.Errorf("%s with %.20q: %d %s", tt.path, tt.headers, status, body)
		}
		noSecrets(t, body)
	}
	p.end(t, exitOK)
}

func TestClientToken_ReadyzWithoutToken(t *testing.T) {
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken))
	for range 600 {
		if status, body := p.get(t, p.admin, "/readyz"); status == http.StatusOK && body == "ok\n" {
			p.end(t, exitOK)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("/readyz is never 200")
}

// TestClientToken_FileChanges checks that a new token is used without a restart, and that
// all requests are rejected while the file is invalid.
func TestClientToken_FileChanges(t *testing.T) {
	path := file(t, "first")
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_CLIENT_TOKEN_FILE="+path)
	status := func(token string) int {
		code, _ := p.getWith(t, "http://"+p.app+"/outside", "Authorization", "Bearer "+token)
		return code
	}
	becomes := func(token string, want int) {
		t.Helper()
		for range 600 {
			if status(token) == want {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%s never gets %d", token, want)
	}
	if got := status("first"); got != http.StatusForbidden { // it is outside the route
		t.Fatalf("first: %d", got)
	}
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("second")
	becomes("second", http.StatusForbidden)
	if got := status("first"); got != http.StatusUnauthorized {
		t.Errorf("first, replaced: %d", got)
	}
	write(" \n")
	becomes("second", http.StatusServiceUnavailable)
	if got := status(""); got != http.StatusServiceUnavailable {
		t.Errorf("an empty token with an empty file: %d", got)
	}
	write("third")
	if got := status("third"); got != http.StatusForbidden {
		t.Errorf("third: %d, but an invalid file must be reloaded immediately", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	becomes("third", http.StatusServiceUnavailable)
	p.logs.contain(t, "COSPROXY_CLIENT_TOKEN_FILE: "+path+" is empty; write the token alone into the file, on one line; all requests are rejected until then", "no such file")
	p.end(t, exitOK)
}

// TestClientToken_UnixSocket checks that the token is required on Unix sockets too.
func TestClientToken_UnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	p := start(t, "COSPROXY_LISTEN=unix://"+path, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken))
	p.client.Transport.(*http.Transport).DialContext = dialer(path)
	if status, _ := p.getWith(t, "http://localhost/outside"); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d", status)
	}
	if status, _ := p.getWith(t, "http://localhost/outside", "Authorization", "Bearer "+testToken); status != http.StatusForbidden {
		t.Errorf("with it: %d", status)
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
}
