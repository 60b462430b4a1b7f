package credcache_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"cosproxy/credcache"
)

// refusal responds with 403 and an error in the form of the issuer.
func refusal(code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": message}})
	}
}

// The message of an error response is repeated, but for words that may be a secret.
func TestHTTP_ErrorDetail(t *testing.T) {
	const (
		key = "bQ3xPz81mLw0Rt5vYk2cNj7hGf4sDa6e"
		hex = "0123456789abcdef0123456789abcdef"
	)
	message := func(respond http.HandlerFunc) string {
		scope := uploads
		scope.AllowPrefixes = []string{"Photos-of-2026-and-before/*"}
		_, err := httpSource(t, stsServer(t, respond).URL, nil).Fetch(t.Context(), scope)
		var failed *credcache.SourceError
		if !errors.As(err, &failed) || failed.Code != "HTTP 403" || failed.Retryable {
			t.Errorf("got %#v", err)
			return ""
		}
		return failed.Message
	}
	plain := message(status(403))
	raw := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name    string
		respond http.HandlerFunc
		want    string // the whole message; empty: plain
	}{
		{"a scope", refusal("ScopeNotAllowed", `prefix "Photos-of-2026-and-before/*" is outside uploads/2026/* for system:serviceaccount:team-a:app-1`),
			plain + `: ScopeNotAllowed: prefix "Photos-of-2026-and-before/*" is outside uploads/2026/* for system:serviceaccount:team-a:app-1`},
		{"a code alone", refusal("CallerNotAllowed", ""), plain + ": CallerNotAllowed"},
		{"a SecretKey", refusal("X", "key "+key+" and key="+key+","), plain + ": X: key … and …,"},
		{"hexadecimal", refusal("X", "("+hex+")"), plain + ": X: (…)"},
		{"the bearer token", refusal("X", "token "+secret), plain + ": X: token [redacted]"},
		{"a code that is a secret", refusal(key, "m"), plain + ": …: m"},
		{"two lines", refusal("X", "a\nb\x00c"), plain + ": X: a b c"},
		{"no code", refusal("", "m"), ""},
		{"HTML", raw("text/html", `{"error":{"code":"X"}}`), ""},
		{"no JSON", raw("application/json", "<html>"), ""},
		{"another form", raw("application/json", `{"error":"X"}`), ""},
		{"too long", raw("application/json", `{"error":{"code":"X","message":"`+strings.Repeat("a ", 4096)+`"}}`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want == "" {
				want = plain
			}
			if got := message(tt.respond); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// STS and the metadata service have no such errors, so their bodies are not read.
func TestErrorDetail_OtherSources(t *testing.T) {
	for _, name := range []string{"sts", "role", "oidc", "cvm"} {
		_, err := httpSources[name](t, stsServer(t, refusal("X", "detail")).URL).Fetch(t.Context(), uploads)
		if err == nil || strings.Contains(err.Error(), "detail") {
			t.Errorf("%s: got %v, want an error without the body", name, err)
		}
	}
}
