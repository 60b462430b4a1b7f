package signer_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cosproxy/signer"
)

const bucketHost = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"

var (
	now       = time.Date(2030, 5, 6, 7, 8, 9, 123456789, time.UTC)
	tempCreds = signer.Credentials{
		SecretID:  "AKIDexample",
		SecretKey: "the-secret-key",
		Token:     "exampleTokenAbc123-_+/==",
		Expires:   now.Add(30 * time.Minute),
	}
)

func newRequest(t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+bucketHost+target, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func assertUnsigned(t *testing.T, req *http.Request) {
	t.Helper()
	for name, values := range req.Header {
		if strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "x-cos-security-token") {
			t.Errorf("the request has %s: %q", name, values)
		}
	}
}

func TestSign_BothHeaders(t *testing.T) {
	t.Parallel()
	req := newRequest(t, http.MethodGet, "/dir//a%20b?acl", nil)
	var s signer.Signer
	if err := s.Sign(req, tempCreds, now); err != nil {
		t.Fatal(err)
	}
	keyTime := signer.KeyTime(now, tempCreds.Expires)
	want, err := signer.Build("GET", "/dir//a b", "acl",
		[][2]string{{"Host", bucketHost}, {"X-Cos-Security-Token", tempCreds.Token}}, tempCreds.SecretKey, keyTime)
	if err != nil {
		t.Fatal(err)
	}
	wantHeader := http.Header{
		"Authorization": {"q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=" + keyTime + "&q-key-time=" + keyTime +
			"&q-header-list=host;x-cos-security-token&q-url-param-list=acl&q-signature=" + want.Signature},
		"X-Cos-Security-Token": {tempCreds.Token},
	}
	if !maps.EqualFunc(req.Header, wantHeader, slices.Equal) {
		t.Errorf("header:\n got %q\nwant %q", req.Header, wantHeader)
	}
}

func TestSign_ReplacesOldCredentials(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "new-token"} {
		req := newRequest(t, http.MethodGet, "/obj", nil)
		req.Header = http.Header{
			"Authorization": {"old", "older"}, "authorization": {"old"}, "AUTHORIZATION": {"old"},
			"X-Cos-Security-Token": {"old", "older"}, "x-cos-security-token": {"old"}, "X-cOs-sEcurity-token": {"old"},
			"X-Cos-Acl": {"private"},
		}
		creds := signer.Credentials{SecretID: "id", SecretKey: "key", Token: token}
		var s signer.Signer
		for range 2 { // signing a signed request is the same
			if err := s.Sign(req, creds, now); err != nil {
				t.Fatal(err)
			}
			wantNames := []string{"Authorization", "X-Cos-Acl"}
			wantList := "host;x-cos-acl"
			if token != "" {
				wantNames = append(wantNames, "X-Cos-Security-Token")
				wantList += ";x-cos-security-token"
			}
			if got := slices.Sorted(maps.Keys(req.Header)); !slices.Equal(got, wantNames) {
				t.Errorf("headers %q, want %q", got, wantNames)
			}
			if got := headerList(req.Header.Get("Authorization")); got != wantList {
				t.Errorf("header list %q, want %q", got, wantList)
			}
			if got := req.Header.Values("X-Cos-Security-Token"); len(got) > 1 || req.Header.Get("X-Cos-Security-Token") != token {
				t.Errorf("token %q, want %q", got, token)
			}
		}
	}
}

// TestSign_SeparateValues checks that appending to one value does not overwrite the other: they
// share an array.
func TestSign_SeparateValues(t *testing.T) {
	t.Parallel()
	req := newRequest(t, http.MethodGet, "/obj", nil)
	var s signer.Signer
	if err := s.Sign(req, tempCreds, now); err != nil {
		t.Fatal(err)
	}
	req.Header.Add("Authorization", "another")
	if got := req.Header.Get("X-Cos-Security-Token"); got != tempCreds.Token {
		t.Errorf("token became %q", got)
	}
}

func TestSign_NilHeader(t *testing.T) {
	t.Parallel()
	req := &http.Request{URL: &url.URL{Host: bucketHost}}
	var s signer.Signer
	if err := s.Sign(req, tempCreds, now); err != nil {
		t.Fatal(err)
	}
	if got := headerList(req.Header.Get("Authorization")); got != "host;x-cos-security-token" {
		t.Errorf("header list %q", got)
	}
}

func TestSign_Errors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*http.Request, *signer.Credentials)
		want   error
	}{
		{"no SecretID", func(_ *http.Request, c *signer.Credentials) { c.SecretID = "" }, signer.ErrMissingSecretID},
		{"no SecretKey", func(_ *http.Request, c *signer.Credentials) { c.SecretKey = "" }, signer.ErrMissingSecretKey},
		{"no credentials", func(_ *http.Request, c *signer.Credentials) { *c = signer.Credentials{} }, signer.ErrMissingSecretID},
		{"expired now", func(_ *http.Request, c *signer.Credentials) { c.Expires = now }, signer.ErrExpired},
		{"expired long ago", func(_ *http.Request, c *signer.Credentials) { c.Expires = now.Add(-time.Hour) }, signer.ErrExpired},
		{"invalid query", func(r *http.Request, _ *signer.Credentials) { r.URL.RawQuery = "a=%zz" }, signer.ErrRequest},
		{"opaque URL", func(r *http.Request, _ *signer.Credentials) { r.URL.Opaque = "//host/a%2Fb" }, signer.ErrRequest},
		{"no URL", func(r *http.Request, _ *signer.Credentials) { r.URL = nil }, signer.ErrRequest},
		{"path without slash", func(r *http.Request, _ *signer.Credentials) { r.URL.Path = "obj" }, signer.ErrRequest},
		{"asterisk", func(r *http.Request, _ *signer.Credentials) { r.URL.Path = "*" }, signer.ErrRequest},
		{"no host", func(r *http.Request, _ *signer.Credentials) { r.Host, r.URL.Host = "", "" }, signer.ErrRequest},
		{"host in another script", func(r *http.Request, _ *signer.Credentials) { r.Host = "bücher.example" }, signer.ErrRequest},
		{"host with a path", func(r *http.Request, _ *signer.Credentials) { r.Host = "host/path" }, signer.ErrRequest},
		{"host with a zone", func(r *http.Request, _ *signer.Credentials) { r.Host = "[fe80::1%25en0]:80" }, signer.ErrRequest},
		{"second host", func(r *http.Request, _ *signer.Credentials) { r.Header["host"] = []string{"other"} }, signer.ErrRequest},
		{"second length", func(r *http.Request, _ *signer.Credentials) { r.Header["content-length"] = []string{"1"} }, signer.ErrRequest},
		{"second encoding", func(r *http.Request, _ *signer.Credentials) { r.Header["transfer-Encoding"] = []string{"chunked"} }, signer.ErrRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := newRequest(t, http.MethodGet, "/obj", nil)
			req.Header = http.Header{"Authorization": {"old"}, "x-cos-security-Token": {"old"}}
			creds := tempCreds
			tt.change(req, &creds)
			var s signer.Signer
			err := s.Sign(req, creds, now)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if text := fmt.Sprint(err); strings.Contains(text, tempCreds.SecretKey) || strings.Contains(text, tempCreds.Token) {
				t.Errorf("the error shows a secret: %s", text)
			}
			assertUnsigned(t, req)
		})
	}
}

// TestSign_AfterFailure checks that a failed request leaves no data in the buffers of the next
// one.
func TestSign_AfterFailure(t *testing.T) {
	t.Parallel()
	var s signer.Signer
	for range 10 {
		bad := newRequest(t, http.MethodGet, "/obj?first=1&second=%zz", nil)
		if err := s.Sign(bad, tempCreds, now); !errors.Is(err, signer.ErrRequest) {
			t.Fatalf("error %v, want ErrRequest", err)
		}
		good, fresh := newRequest(t, http.MethodGet, "/obj?a=1", nil), newRequest(t, http.MethodGet, "/obj?a=1", nil)
		if err := s.Sign(good, tempCreds, now); err != nil {
			t.Fatal(err)
		}
		if err := new(signer.Signer).Sign(fresh, tempCreds, now); err != nil {
			t.Fatal(err)
		}
		if got, want := good.Header.Get("Authorization"), fresh.Header.Get("Authorization"); got != want {
			t.Fatalf("after a failure %s\nwant %s", got, want)
		}
	}
}

func TestSign_Concurrent(t *testing.T) {
	t.Parallel()
	type job struct {
		creds signer.Credentials
		at    time.Time
		path  string
	}
	sign := func(s *signer.Signer, j job) string {
		req := newRequest(t, http.MethodPut, j.path, strings.NewReader("body"))
		if err := s.Sign(req, j.creds, j.at); err != nil {
			t.Error(err)
		}
		return req.Header.Get("Authorization")
	}
	var jobs []job
	var want []string
	for i := range 12 {
		j := job{tempCreds, now.Add(time.Duration(i%3) * time.Minute), fmt.Sprintf("/obj%d?part=%d", i, i)}
		j.creds.SecretID = fmt.Sprintf("AKID%d", i%4)
		jobs, want = append(jobs, j), append(want, sign(new(signer.Signer), j))
	}
	var shared signer.Signer
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 120 {
				n := (worker + i) % len(jobs)
				if got := sign(&shared, jobs[n]); got != want[n] {
					t.Errorf("job %d: %s, want %s", n, got, want[n])
					return
				}
			}
		})
	}
	wg.Wait()
}
