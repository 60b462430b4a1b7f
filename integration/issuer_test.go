package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"cosproxy/integration/cosemu"
)

// podAccount is a service account, and teamToken the token of the caller team-a.
const (
	podAccount = "system:serviceaccount:shop:uploader"
	teamToken  = "TEAM-TOKEN-NEVER-SHOWN"
)

// writeFile writes a file and returns its path.
func writeFile(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// podToken returns the path of a token of podAccount, and that of the JWKS of its cluster.
func podToken(t *testing.T) (token, jwks string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "cluster"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "https://kubernetes.default.svc", Subject: podAccount, Audience: jwt.Audience{"cosproxy-issuer"},
		Expiry: jwt.NewNumericDate(now.Add(time.Hour)), NotBefore: jwt.NewNumericDate(now), IssuedAt: jwt.NewNumericDate(now),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "cluster", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return writeFile(t, filepath.Join(dir, "token"), []byte(text)), writeFile(t, filepath.Join(dir, "jwks.json"), document)
}

// startIssuer runs cosproxy issuer with TLS over the STS of emu. team-a and podAccount may use
// shared/*. It returns the issuer and the settings with which a sidecar uses it.
func startIssuer(t *testing.T, emu *cosemu.Server, jwks string) (s *sidecar, clientEnv []string) {
	t.Helper()
	cert, certFile := selfSigned(t, "localhost")
	keyDER, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keyFile := writeFile(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	tokens := filepath.Join(dir, "callers")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(tokens, "team-a"), []byte(teamToken+"\n"))
	s = startCommand(t, exec.Command(program(), "issuer"),
		"COSPROXY_ISSUER_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0", "COSPROXY_LOG_FORMAT=json",
		"COSPROXY_TLS_CERT_FILE="+certFile, "COSPROXY_TLS_KEY_FILE="+keyFile,
		"COSPROXY_BUCKET="+bucket, "COSPROXY_REGION="+region, "COSPROXY_ALLOW_PREFIXES=shared/*", "COSPROXY_ALLOW_ACTIONS=read,write",
		"COSPROXY_CALLERS=team-a,"+podAccount, "COSPROXY_ISSUER_TOKENS_DIR="+tokens, "COSPROXY_ISSUER_JWKS="+jwks,
		"COSPROXY_ISSUER_JWT_ISSUER=https://kubernetes.default.svc", "COSPROXY_ISSUER_JWT_AUDIENCE=cosproxy-issuer",
		"COSPROXY_STS_ENDPOINT="+emu.STSURL(), "TENCENTCLOUD_SECRET_ID="+emu.SecretID(), "TENCENTCLOUD_SECRET_KEY="+emu.SecretKey())
	return s, []string{
		"COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0", "COSPROXY_LOG_FORMAT=json", "COSPROXY_SPLAY=0s",
		"COSPROXY_BUCKET=" + bucket, "COSPROXY_REGION=" + region, "COSPROXY_ALLOW_PREFIXES=shared/*", "COSPROXY_ALLOW_ACTIONS=read,write",
		"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO=" + emu.COSAddr(),
		"COSPROXY_CREDENTIALS_URL=" + strings.Replace(s.url, "http://127.0.0.1", "https://localhost", 1) + "/credentials", "COSPROXY_CA_FILE=" + certFile,
	}
}

// TestIssuer_Sidecars runs two sidecars, one with a token and one with that of a service
// account, on the credentials of one issuer, until both have renewed them twice. They share each call of
// STS, and no fetch returns the credentials that a sidecar already has.
func TestIssuer_Sidecars(t *testing.T) {
	t.Parallel()
	const life, span = 20 * time.Second, 32 * time.Second
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, CredentialsDuration: life})
	podTokenFile, jwks := podToken(t)
	issuer, env := startIssuer(t, emu, jwks)
	tokenFile := writeFile(t, filepath.Join(t.TempDir(), "token"), []byte(teamToken))
	team := startSidecar(t, program(), append(env, "COSPROXY_CREDENTIALS_URL_TOKEN_FILE="+tokenFile)...)
	pod := startSidecar(t, program(), append(env, "COSPROXY_CREDENTIALS_URL_TOKEN_FILE="+podTokenFile)...)
	team.waitReady(t)
	pod.waitReady(t)
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if status, body := do(t, http.MethodPut, team.url+"/shared/key", strings.NewReader("hello")); status != http.StatusOK {
			t.Fatalf("PUT: %d %s", status, body)
		}
		if status, body := do(t, http.MethodGet, pod.url+"/shared/key", nil); status != http.StatusOK || string(body) != "hello" {
			t.Fatalf("GET: %d %s", status, body)
		}
	}
	// STS counts whole seconds, so the issuer renews after 0.45 of 19 s at the earliest.
	if calls, most := emu.Stats().STSCalls, int(span/(8500*time.Millisecond))+1; calls < 3 || calls > most {
		t.Errorf("%d calls of STS, want 3 to %d", calls, most)
	}
	for _, s := range []*sidecar{team, pod} {
		if log := s.log.String(); strings.Contains(log, "no new credentials") {
			t.Errorf("a fetch failed:\n%s", tail(log, 4000))
		}
		_, metrics := do(t, http.MethodGet, s.admin+"/metrics", nil)
		if !strings.Contains(string(metrics), `cosproxy_credentials_fetch_failures_total{bucket="`+bucket+`",route="default"} 0`) {
			t.Errorf("fetches failed:\n%s", metrics)
		}
	}
	if code := issuer.stop(t); code != 0 {
		t.Errorf("the issuer ended with %d", code)
	}
	log := issuer.log.String()
	for _, want := range []string{`"cosproxy.caller":"team-a"`, `"cosproxy.caller":"` + podAccount + `"`, `"cosproxy.allow_prefixes":"shared/*"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log of the issuer lacks %s", want)
		}
	}
	for _, secret := range []string{teamToken, "eyJ", emu.SecretKey()} {
		if strings.Contains(log+team.log.String()+pod.log.String(), secret) {
			t.Errorf("%s is in a log", secret)
		}
	}
}

// TestIssuer_WiderScope checks that a sidecar with a wider scope gets no credentials, and that
// its log, its readiness, its responses and cosproxy check say why.
func TestIssuer_WiderScope(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{})
	_, jwks := podToken(t)
	_, env := startIssuer(t, emu, jwks)
	tokenFile := writeFile(t, filepath.Join(t.TempDir(), "token"), []byte(teamToken))
	env = append(env, "COSPROXY_CREDENTIALS_URL_TOKEN_FILE="+tokenFile, "COSPROXY_ALLOW_PREFIXES=shared/*,secret/*")
	const reason = "ScopeNotAllowed: no route of the caller team-a contains the scope: the prefix secret/* is outside its prefixes"

	s := startSidecar(t, program(), env...)
	if status, _ := do(t, http.MethodGet, s.url+"/shared/key", nil); status != http.StatusServiceUnavailable {
		t.Errorf("the sidecar responded with %d", status)
	}
	if status, page := do(t, http.MethodGet, s.admin+"/readyz", nil); status != http.StatusServiceUnavailable || !strings.Contains(string(page), reason) {
		t.Errorf("/readyz: %d %s", status, page)
	}
	if !strings.Contains(s.log.String(), reason) {
		t.Errorf("the log lacks the reason:\n%s", tail(s.log.String(), 4000))
	}
	check := exec.Command(program(), "check")
	check.Env = append(cleanEnv(), env...)
	if out, err := check.CombinedOutput(); err == nil || !strings.Contains(string(out), reason) {
		t.Errorf("cosproxy check: %v\n%s", err, out)
	}
	if n := emu.Stats().STSCalls; n != 0 {
		t.Errorf("%d calls of STS", n)
	}
}
