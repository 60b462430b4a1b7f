package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const quitToken = "QUIT-0123456789abcdef"

// TestQuit_Page checks that only POST with the quit token starts the shutdown.
func TestQuit_Page(t *testing.T) {
	path := file(t, quitToken+"\n")
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_QUIT_TOKEN_FILE="+path, "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken),
		"COSPROXY_ALLOWED_ORIGINS=https://app.example")
	send := func(method, host string, headers ...string) (status int, header http.Header) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+p.admin+"/quit", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	for _, tt := range []struct {
		method, host string
		headers      []string
		status       int
	}{
		{"POST", "localhost", nil, 401},
		{"POST", "localhost", []string{"Authorization", "Bearer"}, 401},
		{"POST", "localhost", []string{"Authorization", "Bearer " + quitToken[1:]}, 401},
		{"POST", "localhost", []string{"Authorization", quitToken}, 401},
		{"POST", "localhost", []string{"Authorization", "Basic " + quitToken}, 401},
		{"POST", "localhost", []string{"Authorization", "Bearer " + testToken}, 401},
		{"POST", "localhost", []string{"Proxy-Authorization", "Bearer " + quitToken}, 401},
		{"GET", "localhost", []string{"Authorization", "Bearer " + quitToken}, 405},
		{"OPTIONS", "localhost", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "POST"}, 405},
		{"POST", "evil.example", []string{"Authorization", "Bearer " + quitToken}, 421},
		{"POST", "localhost", []string{"Authorization", "Bearer " + quitToken, "Origin", "https://evil.example"}, 403},
		{"POST", "localhost", []string{"Authorization", "Bearer " + quitToken, "Sec-Fetch-Site", "cross-site"}, 403},
	} {
		status, header := send(tt.method, tt.host, tt.headers...)
		if status != tt.status || (tt.status == 401) != (header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s with Host %s and %.20q: %d", tt.method, tt.host, tt.headers, status)
		}
	}
	// The quit token opens no other page.
	if status, _ := p.getWith(t, "http://"+p.admin+"/status", "Authorization", "Bearer "+quitToken); status != http.StatusUnauthorized {
		t.Errorf("/status with the quit token: %d", status)
	}
	if strings.Contains(p.logs.all(), "draining") {
		t.Fatal("a request without the token starts the shutdown")
	}

	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _ := send("POST", "localhost", "Authorization", "Bearer "); status != http.StatusServiceUnavailable {
		t.Errorf("with an empty file: %d", status)
	}
	if err := os.WriteFile(path, []byte("another-"+quitToken), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _ := send("POST", "localhost", "Authorization", "Bearer "+quitToken); status != http.StatusUnauthorized {
		t.Errorf("the former token: %d", status)
	}
	if status, _ := send("POST", "localhost", "Authorization", "bearer another-"+quitToken); status != http.StatusAccepted {
		t.Errorf("the token: %d", status)
	}
	if code := <-p.exit; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	p.logs.contain(t, "COSPROXY_QUIT_TOKEN_FILE", "is empty", "shutdown requested by POST /quit")
	if strings.Contains(p.logs.all(), quitToken) {
		t.Error("the log contains the token")
	}
}

func TestQuit_Off(t *testing.T) {
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken)
	resp, err := p.client.Post("http://"+p.admin+"/quit", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("without the setting: %s", resp.Status)
	}
	p.end(t, exitOK)
}

// TestQuit_Drains checks that the shutdown waits for requests, like SIGTERM, and that the
// command waits for its end.
func TestQuit_Drains(t *testing.T) {
	cos, entered, release := blockingCOS(t)
	environ := append(newPair(t, "a").settings(), "COSPROXY_ADMIN_LISTEN=127.0.0.1:"+freePort(t), "COSPROXY_QUIT_TOKEN_FILE="+file(t, quitToken))
	p := start(t, append(environ, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_ENDPOINT="+cos.URL, "COSPROXY_LISTEN=unix://"+filepath.Join(t.TempDir(), "app.sock"))...)
	p.client.Transport.(*http.Transport).DialContext = dialer(strings.TrimPrefix(p.app, "unix://"))
	done := p.getInBackground("http://localhost/uploads/a")
	<-entered
	if code, text := command(t, environ, "quit"); code != exitOK {
		t.Errorf("exit code %d, %s", code, text)
	}
	if n := p.logs.wait(t, "draining")["cosproxy.requests_in_flight"]; n != 1.0 {
		t.Errorf("%v requests in flight, want 1", n)
	}
	code, text := command(t, environ, "quit", "--wait", "300ms")
	if code != exitFailure || !strings.Contains(text, "has accepted the request but has not ended") {
		t.Errorf("exit code %d, %s", code, text)
	}
	time.AfterFunc(2*pollInterval, func() { close(release) })
	if code, text := command(t, environ, "quit", "--wait", "1m"); code != exitOK {
		t.Errorf("exit code %d, %s", code, text)
	}
	if got := <-done; got.err != nil || got.body != "late" {
		t.Errorf("the request in flight got %q, %v", got.body, got.err)
	}
	if code := <-p.exit; code != exitOK {
		t.Errorf("cosproxy ended with %d", code)
	}
	if code, text := command(t, environ, "quit"); code != exitFailure || !strings.Contains(text, "nothing listens there") {
		t.Errorf("after the end: %d, %s", code, text)
	}
}

// TestQuit_OtherCertificate has another server at the address of cosproxy. It must not get
// the token.
func TestQuit_OtherCertificate(t *testing.T) {
	other := newServer(t, httptest.NewTLSServer, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	environ := append(newPair(t, "a").settings(), "COSPROXY_ADMIN_LISTEN="+other.Listener.Addr().String(), "COSPROXY_QUIT_TOKEN_FILE="+file(t, quitToken))
	code, text := command(t, environ, "quit")
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	contains(t, text, "its certificate is not that in COSPROXY_TLS_CERT_FILE, so the token was not sent; if the file has just been replaced, repeat the command")

	environ = append(environ, "COSPROXY_TLS_CERT_FILE="+file(t, "no PEM"))
	if code, text := command(t, environ, "quit"); code != exitUsage || !strings.Contains(text, "COSPROXY_TLS_CERT_FILE contains no PEM certificate") {
		t.Errorf("exit code %d, %s", code, text)
	}
}

// TestQuit_NotEnabled runs the command for a cosproxy without the setting.
func TestQuit_NotEnabled(t *testing.T) {
	admin := "COSPROXY_ADMIN_LISTEN=127.0.0.1:" + freePort(t)
	for name, environ := range map[string][]string{"no token": nil, "client token": {"COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken)}} {
		t.Run(name, func(t *testing.T) {
			p := start(t, append(environ, admin, "TENCENTCLOUD_TOKEN="+testToken)...)
			code, text := command(t, []string{admin, "COSPROXY_QUIT_TOKEN_FILE=" + file(t, quitToken)}, "quit")
			if code != exitFailure || !strings.Contains(text, "check that cosproxy itself runs with COSPROXY_QUIT_TOKEN_FILE") {
				t.Errorf("exit code %d, %s", code, text)
			}
			p.end(t, exitOK)
		})
	}
}

func TestQuit_TokenWarnings(t *testing.T) {
	client := "COSPROXY_CLIENT_TOKEN_FILE=" + file(t, quitToken)
	cfg, err := loadConfig(settingsFor(client, "COSPROXY_QUIT_TOKEN_FILE="+file(t, quitToken)))
	if err != nil || len(cfg.warnings) != 1 || !strings.HasPrefix(cfg.warnings[0], "COSPROXY_QUIT_TOKEN_FILE contains the client token") {
		t.Errorf("warnings %q, %v", cfg.warnings, err)
	}
	cfg, err = loadConfig(settingsFor(client, "COSPROXY_QUIT_TOKEN_FILE="+file(t, "short")))
	if err != nil || len(cfg.warnings) != 1 || !strings.HasPrefix(cfg.warnings[0], "COSPROXY_QUIT_TOKEN_FILE contains a token of 5 bytes") {
		t.Errorf("warnings %q, %v", cfg.warnings, err)
	}
}
