package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	callerToken = "CALLER-TOKEN-NEVER-SHOWN"
	podAccount  = "system:serviceaccount:shop:uploader"
	// uploadsQuery are the parameters of a part of the route of settingsFor.
	uploadsQuery = "/credentials?action=name/cos:GetObject&bucket=examplebucket-1250000000&prefix=uploads/a/*&region=ap-guangzhou"
)

// tokensDir returns a directory with the token of the caller team-a.
func tokensDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeToken(t, dir, callerToken)
	return dir
}

func writeToken(t *testing.T, dir, token string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "team-a"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issuerSettingsFor returns the smallest valid environment of cosproxy issuer, with changes.
func issuerSettingsFor(t *testing.T, changes ...string) []string {
	t.Helper()
	return append(settingsFor("COSPROXY_CALLERS=team-a", "COSPROXY_ISSUER_TOKENS_DIR="+tokensDir(t)), changes...)
}

// startIssuer runs cosproxy issuer on free ports until the end of the test.
func startIssuer(t *testing.T, environ ...string) *process {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	p := &process{stop: stop, exit: make(chan int, 1), logs: readLogs(r), client: newClient(t)}
	environ = append(issuerSettingsFor(t, "COSPROXY_ISSUER_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0",
		"COSPROXY_LOG_FORMAT=json", "COSPROXY_LOG_LEVEL=debug"), environ...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.exit <- run(ctx, []string{"issuer"}, environ, streams{out: io.Discard, err: w})
		_ = w.Close() // always nil
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		noSecrets(t, p.logs.all())
		if strings.Contains(p.logs.all(), callerToken) {
			t.Errorf("the token of a caller is in the log:\n%s", p.logs.all())
		}
	})
	line := p.logs.wait(t, "serving")
	p.app, p.admin = line["cosproxy.listen"].(string), line["cosproxy.admin_listen"].(string)
	return p
}

// issue requests credentials and returns the status and the SecretId or the error.
func (p *process) issue(t *testing.T, token, target string) (int, string) {
	t.Helper()
	status, body := p.getWith(t, "http://"+p.app+target, "Authorization", "Bearer "+token)
	var document struct {
		Credentials struct{ TmpSecretID, TmpSecretKey, SessionToken string }
		Error       struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if c := document.Credentials; status == http.StatusOK && (c.TmpSecretKey != tmpKey || c.SessionToken != tmpToken) {
		t.Errorf("got %s", body)
	}
	return status, document.Credentials.TmpSecretID + document.Error.Code
}

func TestIssuer_Problems(t *testing.T) {
	jwks := file(t, "{}")
	cert := newPair(t, "a")
	jwt := []string{"COSPROXY_ISSUER_JWKS=https://k8s.example/jwks", "COSPROXY_ISSUER_JWT_ISSUER=i", "COSPROXY_ISSUER_JWT_AUDIENCE=a"}
	for _, tt := range []struct {
		name    string
		changes []string
		want    []string // prefix of each line of the error
	}{
		{"none", nil, nil},
		{"TLS", append(cert.settings(), "COSPROXY_ISSUER_LISTEN=0.0.0.0:4364"), nil},
		{"Unix socket", []string{"COSPROXY_ISSUER_LISTEN=unix:///run/issuer.sock"}, nil},
		{"service account", append(jwt, "COSPROXY_CALLERS="+podAccount+",team-a"), nil},
		{"no callers", []string{"COSPROXY_CALLERS="}, []string{"COSPROXY_CALLERS is required: list the callers that may use the route (example: team-a,"}},
		{"wildcard", []string{"COSPROXY_CALLERS=team-a,*,team-*"}, []string{`COSPROXY_CALLERS is invalid: "*" is not a caller`, `COSPROXY_CALLERS is invalid: "team-*" is not a caller`}},
		{"no tokens", []string{"COSPROXY_ISSUER_TOKENS_DIR="}, []string{"COSPROXY_CALLERS lists team-a, but there are no tokens; set COSPROXY_ISSUER_TOKENS_DIR"}},
		{"missing directory", []string{"COSPROXY_ISSUER_TOKENS_DIR=/" + testKey}, []string{"COSPROXY_ISSUER_TOKENS_DIR is a directory that cannot be read: no such file or directory"}},
		{"no JWKS", []string{"COSPROXY_CALLERS=" + podAccount}, []string{"COSPROXY_CALLERS lists " + podAccount + ", but service accounts cannot be verified; set COSPROXY_ISSUER_JWKS"}},
		{"JWKS alone", jwt[:1], []string{"COSPROXY_ISSUER_JWT_ISSUER is required with COSPROXY_ISSUER_JWKS (example: https://", "COSPROXY_ISSUER_JWT_AUDIENCE is required"}},
		{"no JWKS for the audience", jwt[2:], []string{"COSPROXY_ISSUER_JWT_AUDIENCE has no effect without COSPROXY_ISSUER_JWKS"}},
		{"JWKS over http", append(jwt, "COSPROXY_ISSUER_JWKS=http://k8s.example/jwks"), []string{"COSPROXY_ISSUER_JWKS is neither a file nor an https URL"}},
		{"JWKS with a password", append(jwt, "COSPROXY_ISSUER_JWKS=https://a:"+testKey+"@k8s.example/jwks"), []string{"COSPROXY_ISSUER_JWKS is neither a file nor an https URL"}},
		{"invalid JWKS", append(jwt, "COSPROXY_ISSUER_JWKS="+jwks), []string{"COSPROXY_ISSUER_JWKS is a file that cannot be used: the JWKS has no RSA or EC key"}},
		{"missing JWKS", append(jwt, "COSPROXY_ISSUER_JWKS=/"+testKey), []string{"COSPROXY_ISSUER_JWKS is a file that cannot be used: no such file"}},
		{"JWKS token for a file", append(jwt, "COSPROXY_ISSUER_JWKS="+jwks, "COSPROXY_ISSUER_JWKS_TOKEN_FILE=/x"), []string{
			"COSPROXY_ISSUER_JWKS_TOKEN_FILE has no effect, since COSPROXY_ISSUER_JWKS is a file", "COSPROXY_ISSUER_JWKS is a file that"}},
		{"JWKS CA for a file", append(jwt, "COSPROXY_ISSUER_JWKS="+jwks, "COSPROXY_ISSUER_JWKS_CA_FILE="+cert.cert), []string{
			"COSPROXY_ISSUER_JWKS_CA_FILE has no effect, since COSPROXY_ISSUER_JWKS is a file", "COSPROXY_ISSUER_JWKS is a file that"}},
		{"JWKS CA without a JWKS", []string{"COSPROXY_ISSUER_JWKS_CA_FILE=" + cert.cert}, []string{"COSPROXY_ISSUER_JWKS_CA_FILE has no effect without COSPROXY_ISSUER_JWKS"}},
		{"missing JWKS CA", append(jwt, "COSPROXY_ISSUER_JWKS_CA_FILE=/"+testKey), []string{"COSPROXY_ISSUER_JWKS_CA_FILE is a file that cannot be read: no such file"}},
		{"JWKS CA without a certificate", append(jwt, "COSPROXY_ISSUER_JWKS_CA_FILE="+jwks), []string{"COSPROXY_ISSUER_JWKS_CA_FILE is " + jwks + ", which contains no PEM certificate"}},
		{"other machines without TLS", []string{"COSPROXY_ISSUER_LISTEN=:4364", "COSPROXY_UNSAFE_LISTEN=true"}, []string{
			"COSPROXY_ISSUER_LISTEN is :4364, which other machines can reach, and responses hold credentials; set COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE"}},
		{"off", []string{"COSPROXY_ISSUER_LISTEN=off"}, []string{"COSPROXY_ISSUER_LISTEN is off; use host:port"}},
		{"systemd", []string{"COSPROXY_ISSUER_LISTEN=systemd"}, []string{"COSPROXY_ISSUER_LISTEN is systemd; use host:port"}},
		{"the address of the admin pages", []string{"COSPROXY_ISSUER_LISTEN=127.0.0.1:4361"}, []string{"COSPROXY_ADMIN_LISTEN is the same address as COSPROXY_ISSUER_LISTEN"}},
		{"admin for other machines", []string{"COSPROXY_ADMIN_LISTEN=:4361"}, []string{"COSPROXY_ADMIN_LISTEN is :4361, which other machines can reach"}},
		{"cvm", []string{"COSPROXY_SOURCE=cvm"}, []string{"COSPROXY_SOURCE is cvm, which cosproxy issuer cannot use: the credentials of an instance have all permissions of its role"}},
		{"cvm with a second role", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r"}, nil},
		{"static", []string{"TENCENTCLOUD_TOKEN=" + testToken}, []string{"COSPROXY_SOURCE is static, which cosproxy issuer cannot use"}},
		{"another issuer", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=https://issuer.internal/credentials"}, []string{"COSPROXY_SOURCE is http, which cosproxy issuer cannot use"}},
		{"no scopes", []string{"COSPROXY_ISSUER_MAX_SCOPES=0"}, []string{"COSPROXY_ISSUER_MAX_SCOPES must be greater than zero (example: 32)"}},
		{"route and log", []string{"COSPROXY_BUCKET=x", "COSPROXY_LOG_FORMAT=xml"}, []string{`COSPROXY_BUCKET is invalid: "x" is not a bucket name`, `COSPROXY_LOG_FORMAT is "xml"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadIssuerConfig(issuerSettingsFor(t, tt.changes...))
			wantProblems(t, err, tt.want)
		})
	}
}

// Numbered routes need no path prefixes, and each needs its own callers.
func TestIssuer_Routes(t *testing.T) {
	environ := append(routesFor("COSPROXY_ROUTES_0_PATH_PREFIX=", "COSPROXY_ROUTES_1_PATH_PREFIX=", "COSPROXY_ROUTES_0_CALLERS=team-a"), "COSPROXY_ISSUER_TOKENS_DIR="+tokensDir(t))
	_, err := loadIssuerConfig(environ)
	wantProblems(t, err, []string{"COSPROXY_ROUTES_1_CALLERS is required"})
	_, err = loadIssuerConfig(append(environ, "COSPROXY_CALLERS=team-a"))
	wantProblems(t, err, []string{"COSPROXY_CALLERS cannot be combined", "COSPROXY_ROUTES_1_CALLERS is required"})
	cfg, err := loadIssuerConfig(append(environ, "COSPROXY_ROUTES_1_CALLERS=team-a,team-b", "COSPROXY_ROUTES_1_HOSTS=a", "COSPROXY_ROUTES_1_OBJECT_PREFIX=app/", "COSPROXY_ROUTES_1_PATH_PREFIX=/x/"))
	if err != nil || cfg.routes[0].name != "0" || cfg.routes[1].name != "1" {
		t.Fatalf("%v, %v", cfg.routes, err)
	}
	contains(t, strings.Join(cfg.warnings, "\n"), "COSPROXY_ROUTES_1_CALLERS lists team-b, but COSPROXY_ISSUER_TOKENS_DIR has no usable file with this name",
		"COSPROXY_ROUTES_1_HOSTS has no effect", "COSPROXY_ROUTES_1_OBJECT_PREFIX has no effect", "COSPROXY_ROUTES_1_PATH_PREFIX has no effect")
}

// The sidecar does not restrict its clients by the settings of the issuer, so it must not
// accept them silently.
func TestIssuer_SettingsOfSidecar(t *testing.T) {
	_, err := loadConfig(settingsFor("COSPROXY_CALLERS=team-a"))
	wantProblems(t, err, []string{"COSPROXY_CALLERS is a setting of cosproxy issuer: the sidecar serves every client; remove it"})
	_, err = loadConfig(routesFor("COSPROXY_ROUTES_1_CALLERS=team-a"))
	wantProblems(t, err, []string{"COSPROXY_ROUTES_1_CALLERS is a setting of cosproxy issuer"})
	cfg, err := loadConfig(settingsFor("COSPROXY_ISSUER_MAX_SCOPES=3"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, strings.Join(cfg.warnings, "\n"), "COSPROXY_ISSUER_MAX_SCOPES has no effect without cosproxy issuer")
}

func TestIssuer_Serves(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	p := startIssuer(t, "COSPROXY_STS_ENDPOINT="+sts.URL)
	for range 2 {
		if status, id := p.issue(t, callerToken, uploadsQuery); status != 200 || id != tmpID {
			t.Fatalf("got %d %s", status, id)
		}
	}
	policy, err := url.QueryUnescape(sts.policies[0])
	if n := sts.calls.Load(); err != nil || n != 1 || !strings.Contains(policy, "/uploads/a/*") || strings.Contains(policy, "/uploads/*") {
		t.Errorf("%d calls of STS, the first with %s", n, policy)
	}
	if status, code := p.issue(t, callerToken, strings.Replace(uploadsQuery, "uploads/a", "secret", 1)); status != 403 || code != "ScopeNotAllowed" {
		t.Errorf("got %d %s", status, code)
	}
	if status, code := p.issue(t, "another-token-1234567", uploadsQuery); status != 401 || code != "Unauthenticated" {
		t.Errorf("got %d %s", status, code)
	}
	if status, page := p.get(t, p.admin, "/readyz"); status != 200 || page != "ok\n" {
		t.Errorf("%d %s", status, page)
	}
	_, page := p.get(t, p.admin, "/status")
	contains(t, page, "cosproxy issuer", "callers         team-a", "prefixes        uploads/a/*", "credentials     AKIDtmp, expires")
	_, metrics := p.get(t, p.admin, "/metrics")
	contains(t, metrics, `cosproxy_issuer_requests_total{code="200",route="default"} 2`, `cosproxy_issuer_requests_total{code="403",route=""} 1`,
		`cosproxy_issuer_requests_total{code="401",route=""} 1`, `cosproxy_issuer_fetches_total{source="sts"} 1`,
		`cosproxy_issuer_fetch_failures_total{source="sts"} 0`, `cosproxy_issuer_scopes{source="sts"} 1`, "cosproxy_log_lines_dropped_total 0", "go_goroutines")
	noSecrets(t, page+metrics)
	if status, body := p.get(t, p.admin, "/credentials"); status != 404 {
		t.Errorf("the admin listener responded %d %s", status, body)
	}
	if status, _ := p.get(t, p.app, "/metrics"); status != 404 {
		t.Errorf("the issuer responded %d to /metrics", status)
	}
	p.end(t, exitOK)
	p.logs.contain(t, `"msg":"route"`, `"cosproxy.callers":"team-a"`, `"msg":"credentials issued"`, `"msg":"no credentials issued"`, `"msg":"draining"`)
}

// A token that is replaced or removed is rejected after a few seconds at most.
func TestIssuer_TokenRotation(t *testing.T) {
	sts, dir := newSTS(t, httptest.NewServer), tokensDir(t)
	p := startIssuer(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ISSUER_TOKENS_DIR="+dir)
	becomes := func(token string, want int) {
		t.Helper()
		for range 600 {
			if status, _ := p.issue(t, token, uploadsQuery); status == want {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("the status %d never occurred", want)
	}
	becomes(callerToken, 200)
	writeToken(t, dir, "second-"+callerToken)
	becomes("second-"+callerToken, 200)
	becomes(callerToken, 401)
	writeToken(t, dir, "short")
	becomes("second-"+callerToken, 401)
	if line := p.logs.wait(t, "tokens of callers are ignored"); !strings.Contains(fmt.Sprint(line), "the file team-a has a token of 5 bytes") {
		t.Error(line)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	becomes(callerToken, 503)
	if status, page := p.get(t, p.admin, "/readyz"); status != 503 || !strings.Contains(page, "COSPROXY_ISSUER_TOKENS_DIR: no such file or directory") {
		t.Errorf("%d %s", status, page)
	}
}

func TestIssuer_STSDown(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	p := startIssuer(t, "COSPROXY_STS_ENDPOINT="+sts.URL)
	status, body := p.getWith(t, "http://"+p.app+uploadsQuery, "Authorization", "Bearer "+callerToken)
	if status != 503 || !strings.Contains(body, `"code":"Unavailable"`) || !strings.Contains(body, "AuthFailure.SecretIdNotFound") || strings.Contains(body, "no such SecretId") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := p.get(t, p.admin, "/readyz"); status != 200 {
		t.Errorf("/readyz is %d: another issuer would not help", status)
	}
	p.end(t, exitOK)
	p.logs.contain(t, "no such SecretId")
}

// The issuer has the health and metrics listeners of the sidecar, and POST /quit.
func TestIssuer_OtherListeners(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	p := startIssuer(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_HEALTH_LISTEN=127.0.0.1:0", "COSPROXY_METRICS_LISTEN=127.0.0.1:0",
		"COSPROXY_QUIT_TOKEN_FILE="+file(t, testToken))
	line := p.logs.wait(t, "serving")
	health, metrics := line["cosproxy.health_listen"].(string), line["cosproxy.metrics_listen"].(string)
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/startupz": 200, "/credentials": 404, "/status": 404} {
		if status, body := p.get(t, health, path); status != want || body != "" {
			t.Errorf("%s on the health listener: %d %s", path, status, body)
		}
	}
	if status, body := p.get(t, metrics, "/metrics"); status != 200 || !strings.Contains(body, `cosproxy_issuer_scopes{source="sts"} 0`) {
		t.Errorf("%d %s", status, body)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+p.admin+"/quit", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if code := <-p.exit; resp.StatusCode != http.StatusAccepted || code != exitOK {
		t.Errorf("status %d, exit code %d", resp.StatusCode, code)
	}
	p.exit <- exitOK
}

// cosproxy check reads the environment of an issuer, whose routes have numbers.
func TestIssuer_Check(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	code, out := checked(t, nil, append(routesFor("COSPROXY_ROUTES_0_PATH_PREFIX=", "COSPROXY_ROUTES_1_PATH_PREFIX=", "COSPROXY_ROUTES_0_CALLERS=team-a", "COSPROXY_ROUTES_1_CALLERS=team-a"),
		"COSPROXY_ISSUER_TOKENS_DIR="+tokensDir(t), "COSPROXY_STS_ENDPOINT="+sts.URL)...)
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	contains(t, out, "route 0 (photos-1250000000 in ap-guangzhou, credentials from sts): FAILED (no_credentials)", "route 1 (logs-1250000000")
}

func TestIssuer_TLS(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	p := startIssuer(t, append(newPair(t, "issuer").settings(), "COSPROXY_STS_ENDPOINT="+sts.URL)...)
	p.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	status, body := p.getWith(t, "https://"+p.app+uploadsQuery, "Authorization", "Bearer "+callerToken)
	if status != 200 || !strings.Contains(body, tmpID) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := p.getWith(t, "http://"+p.app+uploadsQuery, "Authorization", "Bearer "+callerToken); status != 400 {
		t.Errorf("plain HTTP: %d", status)
	}
}

func TestIssuer_UnixSocket(t *testing.T) {
	sts, path := newSTS(t, httptest.NewServer), filepath.Join(t.TempDir(), "issuer.sock")
	p := startIssuer(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ISSUER_LISTEN=unix://"+path)
	p.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	p.app = "issuer"
	if status, id := p.issue(t, callerToken, uploadsQuery); status != 200 || id != tmpID {
		t.Errorf("got %d %s", status, id)
	}
	p.end(t, exitOK)
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket was not removed")
	}
}

// Requests are accepted during the delay, and those in flight end.
func TestIssuer_Shutdown(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{}, 1)
	sts := newServer(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":%q,"TmpSecretId":%q,"TmpSecretKey":%q},"ExpiredTime":%d}}`,
			tmpToken, tmpID, tmpKey, time.Now().Add(time.Hour).Unix())
	})
	p := startIssuer(t, "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_SHUTDOWN_DELAY=200ms", "COSPROXY_DRAIN_TIMEOUT=20s")
	got := make(chan string, 1)
	go func() {
		status, id := p.issue(t, callerToken, uploadsQuery)
		got <- fmt.Sprint(status, id)
	}()
	<-arrived
	p.stop()
	p.logs.wait(t, "draining")
	if status, page := p.get(t, p.admin, "/readyz"); status != 503 || !strings.Contains(page, "draining") {
		t.Errorf("%d %s", status, page)
	}
	close(release)
	if result := <-got; result != "200"+tmpID {
		t.Errorf("got %s", result)
	}
	if code := <-p.exit; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	p.exit <- exitOK
}

// newPodKey returns a JWKS with a new key and a function that signs tokens of podAccount.
func newPodKey(t *testing.T, id string) (jwks string, sign func(audience string) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: id, Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(document), func(audience string) string {
		now := time.Now()
		text, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: "https://k8s.example", Subject: podAccount, Audience: jwt.Audience{audience},
			Expiry: jwt.NewNumericDate(now.Add(time.Hour)), NotBefore: jwt.NewNumericDate(now), IssuedAt: jwt.NewNumericDate(now),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// forPods returns the settings for podAccount with this JWKS.
func forPods(jwks string) []string {
	return []string{
		"COSPROXY_CALLERS=team-a," + podAccount, "COSPROXY_ISSUER_JWKS=" + jwks,
		"COSPROXY_ISSUER_JWT_ISSUER=https://k8s.example", "COSPROXY_ISSUER_JWT_AUDIENCE=cosproxy-issuer",
	}
}

func TestIssuer_ServiceAccount(t *testing.T) {
	jwks, sign := newPodKey(t, "k")
	server := newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer jwks-"+testToken {
			http.Error(w, testToken, http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, jwks)
	})
	sts := newSTS(t, httptest.NewServer)
	p := startIssuer(t, append(forPods(server.URL), "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ISSUER_JWKS_TOKEN_FILE="+file(t, "jwks-"+testToken+"\n"))...)
	for token, want := range map[string]string{
		sign("cosproxy-issuer"): "200" + tmpID, sign("vault"): "401Unauthenticated", callerToken: "200" + tmpID, "a.b.c": "401Unauthenticated",
	} {
		if status, id := p.issue(t, token, uploadsQuery); fmt.Sprint(status, id) != want {
			t.Errorf("got %d %s, want %s", status, id, want)
		}
	}
	p.end(t, exitOK)
	p.logs.contain(t, `"cosproxy.caller":"`+podAccount+`"`, `"msg":"JWKS"`)
}

// Errors of the JWKS server show neither its response nor the URL.
func TestIssuer_JWKSServerFails(t *testing.T) {
	for name, respond := range map[string]http.HandlerFunc{
		"HTTP 403": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, testToken, http.StatusForbidden) },
		"HTTP 302": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/"+testToken)
			w.WriteHeader(http.StatusFound)
		},
		"it is not a JWKS": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, testToken) },
		"more than 1048576 bytes": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(testToken, 1<<17))
		},
		"the server cannot be rea": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		server := newServer(t, httptest.NewServer, respond)
		_, sign := newPodKey(t, "k")
		p := startIssuer(t, forPods(server.URL+"/"+testToken)...)
		if status, code := p.issue(t, sign("cosproxy-issuer"), uploadsQuery); status != 503 || code != "Unavailable" {
			t.Errorf("%s: %d %s", name, status, code)
		}
		_, page := p.get(t, p.admin, "/readyz")
		p.end(t, exitOK) // the error may be logged after the response
		contains(t, page+p.logs.all(), "COSPROXY_ISSUER_JWKS: ", name)
		noSecrets(t, page)
	}
}

// A JWKS file may be replaced.
func TestIssuer_JWKSFile(t *testing.T) {
	jwks, sign := newPodKey(t, "first")
	path := file(t, jwks)
	sts := newSTS(t, httptest.NewServer)
	p := startIssuer(t, append(forPods(path), "COSPROXY_STS_ENDPOINT="+sts.URL)...)
	if status, id := p.issue(t, sign("cosproxy-issuer"), uploadsQuery); status != 200 {
		t.Fatalf("got %d %s", status, id)
	}
	jwks, sign = newPodKey(t, "second")
	if err := os.WriteFile(path, []byte(jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if status, _ := p.issue(t, sign("cosproxy-issuer"), uploadsQuery); status == 200 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the new key was never accepted")
}

// The issuer is ready while callers can authenticate with tokens or with JWTs.
func TestIssuer_ReadyWithOneMethod(t *testing.T) {
	jwks, sign := newPodKey(t, "k")
	_, other := newPodKey(t, "k") // not in the JWKS
	var down atomic.Bool
	server := newServer(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, jwks)
	})
	for _, tt := range []struct {
		name         string
		keys, tokens bool
		pod, file    string // responses to a JWT and to the token of a file
		rejected     string // response to a JWT with an invalid signature
		ready        int
		failed       string // row of /status
	}{
		{"both", true, true, "200" + tmpID, "200" + tmpID, "401Unauthenticated", 200, ""},
		{"JWTs", true, false, "200" + tmpID, "503Unavailable", "503Unavailable", 200, "failed          COSPROXY_ISSUER_TOKENS_DIR: no such file or directory"},
		{"tokens", false, true, "503Unavailable", "200" + tmpID, "503Unavailable", 200, "failed          COSPROXY_ISSUER_JWKS: the server responded with HTTP 500"},
		{"neither", false, false, "503Unavailable", "503Unavailable", "503Unavailable", 503, "state           COSPROXY_ISSUER_TOKENS_DIR: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			down.Store(!tt.keys)
			sts, dir := newSTS(t, httptest.NewServer), tokensDir(t)
			p := startIssuer(t, append(forPods(server.URL), "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ISSUER_TOKENS_DIR="+dir)...)
			if !tt.tokens {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			for token, want := range map[string]string{sign("cosproxy-issuer"): tt.pod, callerToken: tt.file, other("cosproxy-issuer"): tt.rejected} {
				if status, result := p.issue(t, token, uploadsQuery); fmt.Sprint(status, result) != want {
					t.Errorf("got %d %s, want %s", status, result, want)
				}
			}
			if status, page := p.get(t, p.admin, "/readyz"); status != tt.ready {
				t.Errorf("/readyz is %d: %s", status, page)
			}
			_, page := p.get(t, p.admin, "/status")
			if contains(t, page, tt.failed); tt.failed == "" && strings.Contains(page, "failed") {
				t.Error(page)
			}
		})
	}
}

// The CA of the JWKS is trusted for the JWKS, and not for STS; COSPROXY_CA_FILE is not trusted for
// the JWKS then.
func TestIssuer_JWKSCA(t *testing.T) {
	jwks, sign := newPodKey(t, "k")
	server := newServer(t, httptest.NewTLSServer, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, jwks) })
	sts := newSTS(t, httptest.NewTLSServer) // with the same certificate
	ca, other := certificateOf(t, server), newPair(t, "other").cert
	for _, tt := range []struct {
		name           string
		jwksCA, ca     string
		authenticates  bool
		fetchesFromSTS bool
	}{
		{"for the JWKS", ca, "", true, false},
		{"for both", ca, ca, true, true},
		{"another for the JWKS", other, ca, false, false},
		{"COSPROXY_CA_FILE alone", "", ca, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startIssuer(t, append(forPods(server.URL), "COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_ISSUER_JWKS_CA_FILE="+tt.jwksCA, "COSPROXY_CA_FILE="+tt.ca)...)
			status, code := p.issue(t, sign("cosproxy-issuer"), uploadsQuery)
			if (status == http.StatusOK) != tt.fetchesFromSTS {
				t.Errorf("got %d %s", status, code)
			}
			if _, page := p.get(t, p.admin, "/status"); strings.Contains(page, "COSPROXY_ISSUER_JWKS: the server cannot be reached") == tt.authenticates {
				t.Error(page)
			}
		})
	}
}

// The commands for probes work with an issuer.
func TestIssuer_Healthcheck(t *testing.T) {
	p := startIssuer(t)
	for _, command := range []string{"healthcheck", "wait"} {
		var errs bytes.Buffer
		if code := run(t.Context(), []string{command}, []string{"COSPROXY_ADMIN_LISTEN=" + p.admin}, streams{out: io.Discard, err: &errs}); code != exitOK {
			t.Errorf("%s: exit code %d: %s", command, code, errs.String())
		}
	}
}

// cosproxy check fetches the JWKS of an issuer once.
func TestIssuer_CheckJWKS(t *testing.T) {
	jwks, _ := newPodKey(t, "k")
	cos := newServer(t, httptest.NewServer, func(http.ResponseWriter, *http.Request) {}) // status 200
	sts := newSTS(t, httptest.NewServer)
	var fetches atomic.Int32
	status, body := http.StatusOK, jwks
	server := newServer(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	for _, tt := range []struct {
		name, body, setting string
		status, code        int
		text                string // with a newline: all lines
		json                string
	}{
		{"ok", jwks, server.URL, 200, exitOK, "JWKS: ok\n  keys: 1\n", `"jwks":{"ok":true,"keys":1}`},
		{"HTTP 403", testToken, server.URL, 403, exitFailure,
			"JWKS: FAILED (jwks)\n  the server responded with HTTP 403; check the URL and COSPROXY_ISSUER_JWKS_TOKEN_FILE\n  check COSPROXY_ISSUER_JWKS; ",
			`"jwks":{"ok":false,"code":"jwks","problem":"the server responded with HTTP 403;`},
		{"another document", testToken, server.URL, 200, exitFailure, "JWKS: FAILED (jwks)\n  it is not a JWKS of at most 100 keys\n", `"code":"jwks"`},
		{"a file", "", file(t, jwks), 200, exitOK, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body = tt.status, tt.body
			fetches.Store(0)
			environ := append(issuerSettingsFor(t, forPods(tt.setting)...), "COSPROXY_STS_ENDPOINT="+sts.URL,
				"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String())
			code, out := checked(t, nil, environ...)
			if code != tt.code || !strings.Contains(out, tt.text) || tt.text == "" && strings.Contains(out, "JWKS") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			if n := fetches.Load(); n > 1 || n == 0 && tt.text != "" {
				t.Errorf("%d fetches, want 1", n)
			}
			var compact bytes.Buffer
			_, out = checked(t, []string{"--json"}, environ...)
			if err := json.Compact(&compact, []byte(out)); err != nil || !strings.Contains(compact.String(), tt.json) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
