package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
)

// served returns a cosproxy that has served a request, and so has credentials.
func served(t *testing.T, environ ...string) *process {
	t.Helper()
	cos := newServer(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "body") })
	sts := newSTS(t, httptest.NewServer)
	p := start(t, append([]string{"COSPROXY_STS_ENDPOINT=" + sts.URL, "COSPROXY_ENDPOINT=" + cos.URL}, environ...)...)
	if status, _ := p.get(t, p.app, "/uploads/a"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	return p
}

func TestAdmin_Pages(t *testing.T) {
	p := served(t, "COSPROXY_CONNECT_TO=")
	tests := []struct {
		path   string
		status int
		wants  []string // regular expressions
	}{
		{"/", 200, []string{`href="/status"`, `href="/readyz"`, `href="/livez"`, `href="/metrics"`}},
		{"/livez", 200, []string{`^ok\n$`}},
		{"/readyz", 200, []string{`^ok\n$`}},
		{"/status", 200, []string{
			`(?m)^cosproxy +\S.* go1\.`,
			`(?m)^state +ready$`,
			`(?m)^uptime +\d+s, 0 requests in flight$`,
			`(?m)^route +default$`,
			`(?m)^bucket +examplebucket-1250000000 in ap-guangzhou$`,
			`(?m)^endpoint +http://127\.0\.0\.1:\d+$`,
			`(?m)^allow prefixes +uploads/\*$`,
			`(?m)^allow actions +read,upload$`,
			`(?m)^source +sts$`,
			`(?m)^credentials +AKIDtmp, expires \d{4}-\d\d-\d\dT\S+Z, in (30m0s|29m\d+s)$`,
			`(?m)^fetches +1, 0 failed$`,
		}},
		{"/metrics", 200, []string{
			`cosproxy_credentials_ready\{bucket="examplebucket-1250000000",route="default"\} 1\n`,
			`cosproxy_credentials_expiry_timestamp_seconds\{bucket="examplebucket-1250000000",route="default"\} 1\.\d+e\+09\n`,
			`cosproxy_credentials_fetches_total\{bucket="examplebucket-1250000000",route="default"\} 1\n`,
			`cosproxy_credentials_fetch_failures_total\{bucket="examplebucket-1250000000",route="default"\} 0\n`,
			`cosproxy_requests_total\{action="GetObject",code="200",route="default"\} 1\n`,
			`\ngo_goroutines \d`, `\nprocess_resident_memory_bytes \d`,
		}},
		{"/nothing", 404, nil},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			status, body := p.get(t, p.admin, tt.path)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			for _, want := range tt.wants {
				if !regexp.MustCompile(want).MatchString(body) {
					t.Errorf("no match for %s in:\n%s", want, body)
				}
			}
			noSecrets(t, body)
		})
	}
	p.end(t, exitOK)
}

func TestStatus_WithoutCredentials(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CONNECT_TO=127.0.0.1:1")
	p.get(t, p.app, "/uploads/a") // waits for the first fetch
	_, body := p.get(t, p.admin, "/status")
	for _, want := range []string{
		`(?m)^state +route default: no valid credentials: sts: AuthFailure\.SecretIdNotFound: `,
		`(?m)^connect to +127\.0\.0\.1:1$`,
		`(?m)^credentials +none$`,
		`(?m)^fetches +1, 1 failed$`,
		`(?m)^last error +sts: AuthFailure\.SecretIdNotFound: no such SecretId \(request id sts-1\); check the long-lived SecretId`,
	} {
		if !regexp.MustCompile(want).MatchString(body) {
			t.Errorf("no match for %s in:\n%s", want, body)
		}
	}
	_, body = p.get(t, p.admin, "/metrics")
	contains(t, body, `cosproxy_credentials_ready{bucket="examplebucket-1250000000",route="default"} 0`,
		`cosproxy_credentials_fetch_failures_total{bucket="examplebucket-1250000000",route="default"} 1`)
	p.end(t, exitOK)
}

func TestStatus_StaticCredentials(t *testing.T) {
	p := served(t, "TENCENTCLOUD_TOKEN="+testToken)
	_, body := p.get(t, p.admin, "/status")
	contains(t, body, "AKIDexample, without expiry")
	p.end(t, exitOK)
}

// TestAdmin_Host checks the protection against DNS rebinding.
func TestAdmin_Host(t *testing.T) {
	p := start(t, "TENCENTCLOUD_TOKEN="+testToken, "COSPROXY_ALLOWED_HOSTS=10.0.0.5, admin.example.com")
	for host, want := range map[string]int{
		"evil.example.com":       http.StatusMisdirectedRequest,
		"10.0.0.6:4361":          http.StatusMisdirectedRequest,
		"localhost:4361":         http.StatusOK,
		"10.0.0.5:4361":          http.StatusOK,
		"ADMIN.example.com:4361": http.StatusOK,
	} {
		req, err := http.NewRequest(http.MethodGet, "http://"+p.admin+"/livez", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %s got %d, want %d", host, resp.StatusCode, want)
		}
	}
	p.end(t, exitOK)
}
