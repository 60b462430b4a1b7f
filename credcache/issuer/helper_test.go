package issuer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cosproxy/credcache"
	"cosproxy/credcache/issuer"
	"cosproxy/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// secret is part of every SecretKey and session token of these tests.
	secret = "TOP-SECRET-9f2c"

	bucket = "examplebucket-1250000000"
	region = "ap-guangzhou"

	audience  = "cosproxy-issuer"
	iss       = "https://kubernetes.default.svc.cluster.local"
	podCaller = "system:serviceaccount:team-a:app"
)

// fakeSTS is a Source that records the requested scopes.
type fakeSTS struct {
	life time.Duration

	mu     sync.Mutex
	scopes []credcache.Scope
	delay  time.Duration
	err    error
}

func (s *fakeSTS) Fetch(ctx context.Context, scope credcache.Scope) (signer.Credentials, error) {
	s.mu.Lock()
	s.scopes = append(s.scopes, scope)
	n, delay, err := len(s.scopes), s.delay, s.err
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return signer.Credentials{}, ctx.Err()
	}
	if err != nil {
		return signer.Credentials{}, err
	}
	return signer.Credentials{
		SecretID: fmt.Sprintf("AKID-%d", n), SecretKey: secret + "-key", Token: secret + "-token", Expires: time.Now().Add(s.life),
	}, nil
}

func (s *fakeSTS) set(delay time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.err = delay, err
}

func (s *fakeSTS) requested() []credcache.Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]credcache.Scope(nil), s.scopes...)
}

func scope(prefixes, actions string) credcache.Scope {
	return credcache.Scope{Bucket: bucket, Region: region, AllowPrefixes: strings.Split(prefixes, ","), AllowActions: strings.Split(actions, ",")}
}

// rig is an Issuer over a fakeSTS, with a record of what it did.
type rig struct {
	*issuer.Issuer
	sts      *fakeSTS
	cache    *credcache.Cache
	log      syncBuilder
	observed []string
}

type syncBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tokens are the bearer tokens of the callers team-a and team-b.
var tokens = map[string]string{"team-a": strings.Repeat("a", 20), "team-b": strings.Repeat("b", 20)}

func writeTokens(t testing.TB, byCaller map[string]string) func() (*issuer.Tokens, error) {
	t.Helper()
	dir := t.TempDir()
	for name, token := range byCaller {
		writeFile(t, dir+"/"+name, token)
	}
	read, problems, err := issuer.ReadTokens(t.Context(), dir)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return func() (*issuer.Tokens, error) { return read, nil }
}

// newRig starts an Issuer with one route for uploads/* and a.txt that team-a may use.
func newRig(t testing.TB, change func(*issuer.Options)) *rig {
	t.Helper()
	r := &rig{sts: &fakeSTS{life: 30 * time.Minute}}
	logger := slog.New(slog.NewJSONHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.cache = credcache.New(r.sts, credcache.Options{ForClients: true, Logger: logger})
	t.Cleanup(r.cache.Close)
	opts := issuer.Options{
		Routes: []issuer.Route{{Name: "0", Scope: scope("uploads/*,a.txt", "read,upload"), Callers: []string{"team-a"}, Cache: r.cache}},
		Tokens: writeTokens(t, tokens),
		Logger: logger,
		Observe: func(route string, status int) {
			r.observed = append(r.observed, fmt.Sprintf("%s %d", route, status))
		},
	}
	if change != nil {
		change(&opts)
	}
	for i := range opts.Routes {
		if opts.Routes[i].Cache == nil {
			opts.Routes[i].Cache = r.cache
		}
	}
	made, err := issuer.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	r.Issuer = made
	return r
}

// reply is a response of the Issuer.
type reply struct {
	status  int
	header  http.Header
	body    string
	code    string // of an error
	message string
	id      string // SecretId
	expires time.Time
}

// get requests the scope of a query with a bearer token.
func (r *rig) get(token, query string) reply {
	req := httptest.NewRequest(http.MethodGet, issuer.Path+"?"+query, nil)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return r.send(req)
}

func (r *rig) send(req *http.Request) reply {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	got := reply{status: w.Code, header: w.Header(), body: w.Body.String()}
	var document struct {
		Error       struct{ Code, Message string }
		Credentials struct{ TmpSecretID, TmpSecretKey, SessionToken string }
		StartTime   int64
		ExpiredTime int64
	}
	_ = json.Unmarshal(w.Body.Bytes(), &document)
	got.code, got.message, got.id = document.Error.Code, document.Error.Message, document.Credentials.TmpSecretID
	got.expires = time.Unix(document.ExpiredTime, 0)
	return got
}

// query returns the parameters of a scope, in the form of the source http.
func query(s credcache.Scope) string {
	return url.Values{"bucket": {s.Bucket}, "region": {s.Region}, "prefix": s.AllowPrefixes, "action": s.AllowActions}.Encode()
}

// want fails the test unless the response has this status and error code.
func (got reply) want(t testing.TB, status int, code string) {
	t.Helper()
	if got.status != status || got.code != code || (status == 200) != (got.id != "") || (status != 200) == (got.message == "") {
		t.Errorf("got %d %s, want %d %s", got.status, got.body, status, code)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("header %v", got.header)
	}
	if status != 200 && strings.Contains(got.body, secret) {
		t.Errorf("the error has a secret: %s", got.body)
	}
}

// key signs JWTs with code of its own.
type key struct {
	id  string
	alg string
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

func newECKey(t testing.TB, id string) *key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key{id: id, alg: "ES256", ec: private}
}

func newRSAKey(t testing.TB, id string, bits int) *key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return &key{id: id, alg: "RS256", rsa: private}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk returns the public key as JSON.
func (k *key) jwk() map[string]any {
	if k.rsa != nil {
		return map[string]any{"kty": "RSA", "kid": k.id, "use": "sig", "alg": k.alg,
			"n": encode(k.rsa.N.Bytes()), "e": encode(big.NewInt(int64(k.rsa.E)).Bytes())}
	}
	public, err := k.ec.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	return map[string]any{"kty": "EC", "kid": k.id, "use": "sig", "alg": k.alg, "crv": "P-256", "x": encode(public[1:33]), "y": encode(public[33:])}
}

func jwks(keys ...map[string]any) []byte {
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return document
}

// sign returns a JWT with these claims; header overrides alg and kid.
func (k *key) sign(t testing.TB, claims, header map[string]any) string {
	t.Helper()
	head := map[string]any{"alg": k.alg, "kid": k.id}
	for name, value := range header {
		if head[name] = value; value == nil {
			delete(head, name)
		}
	}
	h, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := encode(h) + "." + encode(c)
	return text + "." + encode(k.signature(t, text, head["alg"]))
}

func (k *key) signature(t testing.TB, text string, alg any) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	switch alg {
	case "HS256": // with the public key as the secret
		public, _ := json.Marshal(k.jwk())
		mac := hmac.New(sha256.New, public)
		_, _ = io.WriteString(mac, text)
		return mac.Sum(nil)
	case "none":
		return nil
	}
	if k.rsa != nil {
		signature, err := rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// claims returns those of a projected token of podCaller, changed by pairs of name and value;
// nil removes a claim.
func claims(pairs ...any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{"iss": iss, "sub": podCaller, "aud": []string{audience}, "iat": now, "nbf": now, "exp": now + 3600,
		"kubernetes.io": map[string]any{"namespace": "team-a", "pod": map[string]any{"name": "app-1"}}}
	for i := 0; i < len(pairs); i += 2 {
		if name := pairs[i].(string); pairs[i+1] == nil {
			delete(all, name)
		} else {
			all[name] = pairs[i+1]
		}
	}
	return all
}

func signerCredentials() signer.Credentials {
	return signer.Credentials{SecretID: "AKID", SecretKey: secret, Token: secret}
}
