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

// ask is a GET with headers, given as pairs.
func (p *process) ask(t *testing.T, url string, headers ...string) (int, string) {
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

// TestTokenOnBothListeners: what probes need is there without the token, and
// says no more than they need. That no log shows it, start checks.
func TestTokenOnBothListeners(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken+"\n"))
	right, wrong := []string{"Authorization", "Bearer " + testToken}, []string{"Authorization", "Bearer wrong"}
	foreign := []string{"Origin", "https://evil.example"}
	p.ask(t, "http://"+p.app+"/uploads/a", right...) // waits for the first fetch
	for _, tt := range []struct {
		address, path string
		headers       []string
		status        int
		says, hides   string
	}{
		{p.app, "/uploads/a", nil, 401, "COSPROXY_CLIENT_TOKEN_FILE", ""},
		{p.app, "/uploads/a", wrong, 401, "COSPROXY_CLIENT_TOKEN_FILE", ""},
		{p.app, "/uploads/a", right, 503, "no valid credentials", ""},
		{p.admin, "/", nil, 401, "", "status"},
		{p.admin, "/status", nil, 401, "", "bucket  "},
		{p.admin, "/status", wrong, 401, "", "bucket  "},
		{p.admin, "/status", right, 200, "bucket  ", ""},
		{p.admin, "/status", []string{"Proxy-Authorization", "Bearer " + testToken}, 200, "bucket  ", ""},
		{p.admin, "/metrics", nil, 401, "", "go_goroutines"},
		{p.admin, "/metrics", right, 200, "go_goroutines", ""},
		{p.admin, "/livez", nil, 200, "ok", ""},
		{p.admin, "/livez", wrong, 401, "", ""},
		{p.admin, "/livez", right, 200, "ok", ""},
		{p.admin, "/livez", foreign, 403, "COSPROXY_ALLOWED_ORIGINS", ""},
		{p.admin, "/readyz", nil, 503, "not ready", "AuthFailure"},
		{p.admin, "/readyz", wrong, 401, "", "AuthFailure"},
		{p.admin, "/readyz", right, 503, "AuthFailure", ""},
		{p.admin, "/readyz/", nil, 401, "", "AuthFailure"},
		{p.admin, "//readyz", nil, 401, "", "AuthFailure"},
		{p.admin, "/livez/../status", nil, 401, "", "bucket  "},
	} {
		status, body := p.ask(t, "http://"+tt.address+tt.path, tt.headers...)
		if status != tt.status || !strings.Contains(body, tt.says) || tt.hides != "" && strings.Contains(body, tt.hides) {
			t.Errorf("%s with %.20q: %d %s", tt.path, tt.headers, status, body)
		}
		noSecrets(t, body)
	}
	p.end(t, exitOK)
}

func TestReadyWithoutToken(t *testing.T) {
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

// TestTokenFileChanges: a new token counts without a restart, and a file that
// went bad lets nobody in.
func TestTokenFileChanges(t *testing.T) {
	path := file(t, "first")
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_CLIENT_TOKEN_FILE="+path)
	ask := func(token string) int {
		status, _ := p.ask(t, "http://"+p.app+"/outside", "Authorization", "Bearer "+token)
		return status
	}
	becomes := func(token string, want int) {
		t.Helper()
		for range 600 {
			if ask(token) == want {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%s is never answered with %d", token, want)
	}
	if got := ask("first"); got != http.StatusForbidden { // it is outside the route
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
	if got := ask("first"); got != http.StatusUnauthorized {
		t.Errorf("first, replaced: %d", got)
	}
	write(" \n")
	becomes("second", http.StatusServiceUnavailable)
	if got := ask(""); got != http.StatusServiceUnavailable {
		t.Errorf("empty beside an empty file: %d", got)
	}
	write("third")
	if got := ask("third"); got != http.StatusForbidden {
		t.Errorf("third: %d, and a file that was bad is looked at at once", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	becomes("third", http.StatusServiceUnavailable)
	contains(t, p.logs.all(), "COSPROXY_CLIENT_TOKEN_FILE: "+path+" is empty; nobody is let in until it is right again", "no such file")
	p.end(t, exitOK)
}

// TestTokenOnUnixSocket: a mode can be widened, a token cannot.
func TestTokenOnUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	p := start(t, "COSPROXY_LISTEN=unix://"+path, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken))
	p.client.Transport.(*http.Transport).DialContext = dialer(path)
	if status, _ := p.ask(t, "http://localhost/outside"); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d", status)
	}
	if status, _ := p.ask(t, "http://localhost/outside", "Authorization", "Bearer "+testToken); status != http.StatusForbidden {
		t.Errorf("with it: %d", status)
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
}
