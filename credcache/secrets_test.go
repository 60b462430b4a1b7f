package credcache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cosproxy/credcache"
)

// TestCache_LeaksNoSecret runs the cache with each HTTP source and valid and invalid
// responses, and looks for secrets in logs, errors and statistics.
func TestCache_LeaksNoSecret(t *testing.T) {
	echo := fmt.Sprintf(`{"Response":{"Error":{"Code":"%[1]s","Message":"your key %[1]s\nis bad","RequestId":""},"RequestId":"%[1]s"}}`, secret)
	var mu sync.Mutex
	var next http.HandlerFunc
	server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		next(w, r)
	})
	for name, respond := range map[string]http.HandlerFunc{
		"credentials":         func(w http.ResponseWriter, _ *http.Request) { issue(w, time.Now().Add(time.Hour).Unix()) },
		"expired credentials": func(w http.ResponseWriter, _ *http.Request) { issue(w, 1) },
		"an absurd expiry":    func(w http.ResponseWriter, _ *http.Request) { issue(w, 4_000_000_000) },
		"an echo":             func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, echo) },
		"an echo as HTML":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<p>"+secret) },
		"a cut echo":          text(fmt.Sprintf(`{"Response":{"Error":{"Code":"Bad","Message":"token %s... is bad"}}}`, secret[:len(secret)-1])),
		"an escaped echo":     text(fmt.Sprintf(`{"Response":{"Error":{"Code":"Bad","Message":"token=%s is bad"}}}`, escaped(secret))),
		"a status":            func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusBadGateway) },
		"a header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", secret)
			w.WriteHeader(http.StatusFound)
		},
		"a long echo":                   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(secret, 9000)) },
		"credentials in another form":   text(serverJSON(secret, 4_000_000_000)),
		"an echo as the role's Code":    text(`{"Code":"` + secret + `","TmpSecretId":"` + secret + `"}`),
		"credentials with a line break": text(serverJSON(`a\n`+secret, 4_000_000_000)),
		"a JSON with more":              func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"Response":"`+secret+`"}`) },
	} {
		for source, open := range httpSources {
			t.Run(name+"/"+source, func(t *testing.T) {
				mu.Lock()
				next = respond
				mu.Unlock()
				wantNoSecret(t, open(t, server.URL))
			})
		}
	}
}

// escaped returns s with every byte percent-encoded.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func wantNoSecret(t *testing.T, source credcache.Source) {
	t.Helper()
	var out bytes.Buffer // one goroutine at a time writes: the fetch, then this test
	c := credcache.New(source, credcache.Options{
		Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	p := c.For(uploads)
	creds, err := p.Credentials(t.Context())
	p.Invalidate(creds.SecretID, false)
	c.Close()
	fmt.Fprintf(&out, "%+v", c.Stats())
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&out, "%+v %#v", err, err)
	}
	for _, form := range []string{secret, secret[:len(secret)-1], escaped(secret)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("a secret leaked:\n%s", out.String())
		}
	}
	if !strings.Contains(out.String(), "examplebucket-1250000000") {
		t.Errorf("no output:\n%s", out.String())
	}
}

func TestSources_PrintNoSecret(t *testing.T) {
	options := credcache.HTTPOptions{URL: "https://example.com/?key=" + secret, Token: secret}
	values := []any{
		credcache.STSOptions{Pair: longLived}, credcache.RoleOptions{Pair: longLived}, options, &options,
		credcache.NewStatic(temporary(1, time.Hour)), fileSource(t, writeCredentials(t, secret)), httpSource(t, "https://example.com/?key="+secret, nil),
	}
	for name, open := range httpSources {
		values = append(values, name, open(t, "https://example.com"))
	}
	printed := fmt.Sprintf("%v %+v %#v", values, values, values)
	for _, v := range values {
		printed += fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, v)
	}
	if strings.Contains(printed, secret) {
		t.Errorf("a secret is printed: %s", printed)
	}
}

func TestSourceError_OneLine(t *testing.T) {
	server := stsServer(t, stsResponse(`"Error":{"Code":"A\r\nB","Message":"x\u0000y\n`+strings.Repeat("长", 5000)+`"},"RequestId":"r\ts"`))
	_, err := stsSource(t, server.URL, nil).Fetch(t.Context(), uploads)
	if text := err.Error(); strings.ContainsAny(text, "\r\n\x00\t") || len(text) > 2000 {
		t.Errorf("%d bytes: %q", len(text), text)
	}
}

func TestErrors_Text(t *testing.T) {
	full := &credcache.SourceError{Source: "sts", Code: "AuthFailure.SecretIdNotFound", Message: "no such id",
		RequestID: "req-1", Hint: "check the long-lived SecretId", Err: errDown}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{full, "sts: AuthFailure.SecretIdNotFound: no such id (request id req-1); check the long-lived SecretId"},
		{&credcache.SourceError{Source: "sts", Message: "no response"}, "sts: no response"},
		{&credcache.OptionError{Field: "Region", Problem: "missing"}, "Region: missing"},
		{&credcache.UnavailableError{Bucket: "b-1250000000", Err: errDown}, "no valid credentials for bucket b-1250000000: connection refused"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if !errors.Is(full, errDown) {
		t.Error("the cause is not wrapped")
	}
}

// TestSourceError_ShortSecret covers short secrets, and a secret at the position where the line
// is truncated.
func TestSourceError_ShortSecret(t *testing.T) {
	for _, tt := range []struct{ secret, message string }{
		{"s3cr3t", "the key s3cr3t is bad"},
		{"s3cr3t", "key=s3cr3t, or %733cr3%74 escaped"},
		{"eleven-long", "(eleven-long)"},
		{secret, strings.Repeat("x ", 145) + secret},
	} {
		server := stsServer(t, stsResponse(`"Error":{"Code":"Bad","Message":"`+tt.message+`"},"RequestId":"`+tt.secret+`"`))
		source := stsSource(t, server.URL, func(o *credcache.STSOptions) { o.Pair = credcache.FixedPair("AKID-1", tt.secret) })
		_, err := source.Fetch(t.Context(), uploads)
		if err == nil || !strings.Contains(err.Error(), "[redacted]") {
			t.Fatalf("%v", err)
		}
		for _, form := range []string{tt.secret, "%733cr3%74", secret[:8]} {
			if strings.Contains(err.Error(), form) {
				t.Errorf("%s leaked: %v", form, err)
			}
		}
	}
}
