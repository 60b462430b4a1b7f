package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// startRoutes runs cosproxy with two routes: /photos/ for reads, /logs/ for uploads.
func startRoutes(t *testing.T, changes ...string) *process {
	t.Helper()
	return start(t, append([]string{"COSPROXY_BUCKET=", "COSPROXY_ALLOW_PREFIXES=", "COSPROXY_ALLOW_ACTIONS=",
		"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com"}, routesFor(changes...)...)...)
}

// newCOS responds with the request and its SecretId.
func newCOS(t *testing.T) *httptest.Server {
	return newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		_, secretID, _ := strings.Cut(r.Header.Get("Authorization"), "q-ak=")
		secretID, _, _ = strings.Cut(secretID, "&")
		fmt.Fprintln(w, r.Method, r.Host, r.RequestURI, "with", secretID)
	})
}

func (p *process) send(t *testing.T, method, path string) string {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+p.app+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	if err := resp.Write(&body); err != nil {
		t.Fatal(err)
	}
	return body.String()
}

func TestRoutes_SeparateCredentials(t *testing.T) {
	sts, cos := newSTS(t, httptest.NewServer), newCOS(t)
	p := startRoutes(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String(),
		"COSPROXY_ROUTES_0_OBJECT_PREFIX=2026/", "COSPROXY_SPLAY=24h") // so the requests fetch the credentials, in this order
	contains(t, p.send(t, "GET", "/photos/a.jpg"), "GET photos-1250000000.cos.ap-guangzhou.myqcloud.com /2026/a.jpg with AKIDtmp\n")
	contains(t, p.send(t, "PUT", "/logs/app/1"), "PUT logs-1250000000.cos.ap-guangzhou.myqcloud.com /app/1 with AKIDtmp2\n")
	contains(t, p.send(t, "PUT", "/photos/a.jpg"), "403 Forbidden", "COSPROXY_ROUTES_0_ALLOW_ACTIONS")
	contains(t, p.send(t, "PUT", "/logs/web/1"), "403 Forbidden", "COSPROXY_ROUTES_1_ALLOW_PREFIXES")

	_, body := p.get(t, p.admin, "/status")
	contains(t, body, "\nroute           /photos/\nbucket          photos-1250000000 in ap-guangzhou\n", "\nobject prefix   2026/\n", "\ncredentials     AKIDtmp, ",
		"\nroute           /logs/\nbucket          logs-1250000000 in ap-guangzhou\n", "\ncredentials     AKIDtmp2, ")
	_, body = p.get(t, p.admin, "/metrics")
	contains(t, body, `cosproxy_credentials_ready{bucket="photos-1250000000",route="/photos/"} 1`,
		`cosproxy_credentials_ready{bucket="logs-1250000000",route="/logs/"} 1`, `cosproxy_requests_total{action="GetObject",code="200",route="/photos/"} 1`)
	p.end(t, exitOK)
	if n := sts.calls.Load(); n != 2 {
		t.Errorf("%d calls to STS, want 2", n)
	}
	if n := strings.Count(p.logs.all(), `"msg":"route"`); n != 2 {
		t.Errorf("%d lines for routes, want 2", n)
	}
}

func TestRoutes_EqualScopesShareCredentials(t *testing.T) {
	same := []string{"COSPROXY_ROUTES_1_BUCKET=photos-1250000000", "COSPROXY_ROUTES_1_ALLOW_PREFIXES=a/*,*", "COSPROXY_ROUTES_1_ALLOW_ACTIONS=read,name/cos:GetObject"}
	tests := []struct {
		name    string
		changes []string
		fetches int64
	}{
		{"same source and duration", nil, 1},
		{"the same duration twice", []string{"COSPROXY_DURATION=1h", "COSPROXY_ROUTES_1_DURATION=60m"}, 1},
		{"other duration", []string{"COSPROXY_ROUTES_1_DURATION=1h"}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sts, cos := newSTS(t, httptest.NewServer), newCOS(t)
			p := startRoutes(t, append(append(same, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String()), tt.changes...)...)
			for _, path := range []string{"/photos/a", "/logs/b"} {
				contains(t, p.send(t, "GET", path), "200 OK", "with AKIDtmp\n")
			}
			_, status := p.get(t, p.admin, "/status")
			_, metrics := p.get(t, p.admin, "/metrics")
			if tt.fetches == 1 {
				contains(t, status, "\nshared by       /photos/, /logs/\n")
				contains(t, metrics, `cosproxy_credentials_fetches_total{bucket="photos-1250000000",route="/photos/,/logs/"} 1`)
			}
			p.end(t, exitOK)
			if n := sts.calls.Load(); n != tt.fetches {
				t.Errorf("%d fetches, want %d", n, tt.fetches)
			}
		})
	}
}

// TestRoutes_FailingSourceIsIsolated checks that a route with a failing source does not
// use the source of another route.
func TestRoutes_FailingSourceIsIsolated(t *testing.T) {
	sts, cos := newSTS(t, httptest.NewServer), newCOS(t)
	refusing := newServer(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	p := startRoutes(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String(),
		"COSPROXY_ROUTES_1_SOURCE=http", "COSPROXY_CREDENTIALS_URL="+refusing.URL)
	contains(t, p.send(t, "GET", "/photos/a"), "200 OK", "with AKIDtmp\n")
	contains(t, p.send(t, "PUT", "/logs/app/1"), "503 Service Unavailable")
	status, body := p.get(t, p.admin, "/readyz")
	if status != http.StatusServiceUnavailable || !strings.HasPrefix(body, "route /logs/: no valid credentials: http: ") {
		t.Errorf("/readyz is %d %q", status, body)
	}
	p.end(t, exitOK)
}
