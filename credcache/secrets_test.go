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

// TestNoSecretComesOut drives the whole of cache and each source that asks over
// HTTP through good and bad answers, and looks for secrets in everything that
// they let out: logs, errors and statistics.
func TestNoSecretComesOut(t *testing.T) {
	echo := fmt.Sprintf(`{"Response":{"Error":{"Code":"%[1]s","Message":"your key %[1]s\nis bad","RequestId":""},"RequestId":"%[1]s"}}`, secret)
	var mu sync.Mutex
	var next http.HandlerFunc
	server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		next(w, r)
	})
	for name, reply := range map[string]http.HandlerFunc{
		"a key":           func(w http.ResponseWriter, _ *http.Request) { issue(w, time.Now().Add(time.Hour).Unix()) },
		"an expired key":  func(w http.ResponseWriter, _ *http.Request) { issue(w, 1) },
		"an absurd key":   func(w http.ResponseWriter, _ *http.Request) { issue(w, 4_000_000_000) },
		"an echo":         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, echo) },
		"an echo as HTML": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<p>"+secret) },
		"a cut echo":      text(fmt.Sprintf(`{"Response":{"Error":{"Code":"Bad","Message":"token %s... is bad"}}}`, secret[:len(secret)-1])),
		"an escaped echo": text(fmt.Sprintf(`{"Response":{"Error":{"Code":"Bad","Message":"token=%s is bad"}}}`, escaped(secret))),
		"a status":        func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusBadGateway) },
		"a header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", secret)
			w.WriteHeader(http.StatusFound)
		},
		"a long echo":                func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(secret, 9000)) },
		"another key":                text(keyServerKey(secret, 4_000_000_000)),
		"an echo as the role's Code": text(`{"Code":"` + secret + `","TmpSecretId":"` + secret + `"}`),
		"a key with a line break":    text(keyServerKey(`a\n`+secret, 4_000_000_000)),
		"a JSON with more":           func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"Response":"`+secret+`"}`) },
	} {
		for source, open := range asking {
			t.Run(name+"/"+source, func(t *testing.T) {
				mu.Lock()
				next = reply
				mu.Unlock()
				noSecretComesOutOf(t, open(t, server.URL))
			})
		}
	}
}

// escaped is s with every byte percent-encoded.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func noSecretComesOutOf(t *testing.T, source credcache.Source) {
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
			t.Errorf("a secret came out:\n%s", out.String())
		}
	}
	if !strings.Contains(out.String(), "examplebucket-1250000000") {
		t.Errorf("nothing came out:\n%s", out.String())
	}
}

func TestOptionsAndSourcesPrintWithoutSecrets(t *testing.T) {
	endpoint := credcache.HTTPOptions{URL: "https://example.com/?key=" + secret, Token: secret}
	values := []any{
		credcache.STSOptions{Pair: longLived}, credcache.RoleOptions{Pair: longLived}, endpoint, &endpoint,
		credcache.NewStatic(temporary(1, time.Hour)), fileSource(t, writeKey(t, secret)), keyServerSource(t, "https://example.com/?key="+secret, nil),
	}
	for name, open := range asking {
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

func TestErrorsAreOneBoundedLine(t *testing.T) {
	server := stsServer(t, answer(`"Error":{"Code":"A\r\nB","Message":"x\u0000y\n`+strings.Repeat("长", 5000)+`"},"RequestId":"r\ts"`))
	_, err := stsSource(t, server.URL, nil).Fetch(t.Context(), uploads)
	if text := err.Error(); strings.ContainsAny(text, "\r\n\x00\t") || len(text) > 2000 {
		t.Errorf("%d bytes: %q", len(text), text)
	}
}

func TestErrorTexts(t *testing.T) {
	full := &credcache.SourceError{Source: "sts", Code: "AuthFailure.SecretIdNotFound", Message: "no such id",
		RequestID: "req-1", Hint: "check the long-lived SecretId", Err: errDown}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{full, "sts: AuthFailure.SecretIdNotFound: no such id (request id req-1); check the long-lived SecretId"},
		{&credcache.SourceError{Source: "sts", Message: "no answer"}, "sts: no answer"},
		{&credcache.OptionError{Field: "Region", Problem: "missing"}, "Region: missing"},
		{&credcache.UnavailableError{Bucket: "b-1250000000", Err: errDown}, "no valid key for bucket b-1250000000: connection refused"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if !errors.Is(full, errDown) {
		t.Error("the cause is not wrapped")
	}
}

// TestShortSecretsAreRedacted: a short bearer token is a secret too, and one that
// stands where a line is cut off.
func TestShortSecretsAreRedacted(t *testing.T) {
	for _, tt := range []struct{ secret, said string }{
		{"s3cr3t", "the key s3cr3t is bad"},
		{"s3cr3t", "key=s3cr3t, or %733cr3%74 escaped"},
		{"eleven-long", "(eleven-long)"},
		{secret, strings.Repeat("x ", 145) + secret},
	} {
		server := stsServer(t, answer(`"Error":{"Code":"Bad","Message":"`+tt.said+`"},"RequestId":"`+tt.secret+`"`))
		source := stsSource(t, server.URL, func(o *credcache.STSOptions) { o.Pair = credcache.FixedPair("AKID-1", tt.secret) })
		_, err := source.Fetch(t.Context(), uploads)
		if err == nil || !strings.Contains(err.Error(), "[redacted]") {
			t.Fatalf("%v", err)
		}
		for _, form := range []string{tt.secret, "%733cr3%74", secret[:8]} {
			if strings.Contains(err.Error(), form) {
				t.Errorf("%s came out: %v", form, err)
			}
		}
	}
}
