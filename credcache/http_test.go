package credcache_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func httpSource(t *testing.T, url string, change func(*credcache.HTTPOptions)) credcache.Source {
	t.Helper()
	opts := credcache.HTTPOptions{URL: url, Token: secret}
	if change != nil {
		change(&opts)
	}
	src, err := credcache.NewHTTP(opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func serverJSON(secretKey string, expires int64) string {
	return fmt.Sprintf(`{"credentials":{"tmpSecretId":"AKID-1","tmpSecretKey":"%s","sessionToken":"%[1]s"},"startTime":1,"expiredTime":%d}`, secretKey, expires)
}

func TestHTTP_Request(t *testing.T) {
	requested := credcache.Scope{
		Bucket: "examplebucket-1250000000", Region: "ap-beijing",
		AllowPrefixes: []string{"b&c/*", "a/*", "a/b"}, AllowActions: []string{"list", "name/cos:HeadBucket"},
	}
	expires := time.Now().Add(time.Hour).Unix()
	for _, tt := range []struct {
		name, path, token, authorization, query string
	}{
		{"plain", "/sts", "", "", ""},
		{"no path", "", "", "", ""},
		{"a token and a query", "/a%2Fb?team=x%26y", secret, "Bearer " + secret, "&team=x%26y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				want := "action=name%2Fcos%3AGetBucket&action=name%2Fcos%3AHeadBucket&bucket=examplebucket-1250000000" +
					"&prefix=a%2F%2A&prefix=b%26c%2F%2A&region=ap-beijing" + tt.query
				path, _, _ := strings.Cut(tt.path, "?")
				if r.Method != http.MethodGet || r.URL.RawQuery != want || strings.TrimPrefix(r.URL.EscapedPath(), "/") != strings.TrimPrefix(path, "/") {
					t.Errorf("got  %s %s\nwant %s?%s", r.Method, r.RequestURI, tt.path, want)
				}
				if got := r.Header.Get("Authorization"); got != tt.authorization {
					t.Errorf("Authorization: %s, want %s", got, tt.authorization)
				}
				fmt.Fprint(w, serverJSON(secret, expires))
			})
			src := httpSource(t, server.URL+tt.path, func(o *credcache.HTTPOptions) { o.Token = tt.token })
			creds, err := src.Fetch(t.Context(), requested)
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: secret, Token: secret, Expires: time.Unix(expires, 0)}
			if err != nil || creds != want {
				t.Errorf("got %v, %v, want %v", creds, err, want)
			}
		})
	}
}

func TestHTTP_ResponseForms(t *testing.T) {
	expires := time.Now().Add(time.Hour).Unix()
	for name, body := range map[string]string{
		"Node, Python and PHP": fmt.Sprintf(`{"credentials":{"tmpSecretId":"AKID-1","tmpSecretKey":"K","sessionToken":"T"},
			"requestId":"r","expiration":"2030-01-01T00:00:00Z","startTime":1,"expiredTime":%d}`, expires),
		"Go":                      fmt.Sprintf(`{"Credentials":{"TmpSecretId":"AKID-1","TmpSecretKey":"K","Token":"T"},"ExpiredTime":%d}`, expires),
		"COS SDKs":                fmt.Sprintf(`{"TmpSecretId":"AKID-1","TmpSecretKey":"K","SecurityToken":"T","StartTime":1,"ExpiredTime":%d}`, expires),
		"only a date":             `{"TmpSecretId":"AKID-1","TmpSecretKey":"K","Token":"T","Expiration":"` + time.Unix(expires, 0).UTC().Format(time.RFC3339) + `"}`,
		"with an envelope's code": fmt.Sprintf(`{"code":0,"credentials":{"tmpSecretId":"AKID-1","tmpSecretKey":"K","sessionToken":"T"},"expiredTime":%d}`, expires),
	} {
		t.Run(name, func(t *testing.T) {
			creds, err := httpSource(t, stsServer(t, text(body)).URL, nil).Fetch(t.Context(), uploads)
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: "K", Token: "T", Expires: time.Unix(expires, 0)}
			if err != nil || creds != want {
				t.Errorf("got %v, %v, want %v", creds, err, want)
			}
		})
	}
}

func TestHTTP_Errors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		respond http.HandlerFunc
		want    credcache.SourceError
		cause   error
	}{
		{"401", status(401), credcache.SourceError{Code: "HTTP 401", Message: "rejected", Hint: "bearer token"}, nil},
		{"403", status(403), credcache.SourceError{Code: "HTTP 403", Message: "rejected", Hint: "this scope"}, nil},
		{"404", status(404), credcache.SourceError{Code: "HTTP 404", Hint: "check the URL"}, nil},
		{"302", status(302), credcache.SourceError{Code: "HTTP 302", Message: "redirects", Hint: "final URL"}, nil},
		{"429", status(429), credcache.SourceError{Code: "HTTP 429", Message: "no credentials now", Retryable: true}, nil},
		{"503", status(503), credcache.SourceError{Code: "HTTP 503", Hint: "log of the credentials server", Retryable: true}, nil},
		{"a long-lived key pair", text(`{"secretId":"AKID-1","secretKey":"` + secret + `"}`),
			credcache.SourceError{Message: "lacks the session token, expiry", Retryable: true}, credcache.ErrInvalidResponse},
		{"no id", text(`{"tmpSecretKey":"` + secret + `","token":"` + secret + `","expiredTime":4000000000}`),
			credcache.SourceError{Message: "lacks the SecretId", Retryable: true}, credcache.ErrInvalidResponse},
		{"expired", text(serverJSON(secret, 1)), credcache.SourceError{Message: "expired at", Hint: "clock", Retryable: true}, credcache.ErrInvalidResponse},
		{"a line break in the SecretKey", text(serverJSON(secret+`\n`, 4000000000)),
			credcache.SourceError{Message: "has a blank, a line break", Retryable: true}, credcache.ErrInvalidResponse},
		{"an invalid date", text(`{"tmpSecretId":"A","tmpSecretKey":"` + secret + `","token":"T","expiration":"` + secret + `"}`),
			credcache.SourceError{Message: "lacks the expiry", Retryable: true}, credcache.ErrInvalidResponse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Source = "http"
			wantSourceError(t.Context(), t, httpSource(t, stsServer(t, tt.respond).URL, nil), tt.want, tt.cause)
		})
	}
}

func TestHTTP_RotatedToken(t *testing.T) {
	mounted := newMount(t, map[string]string{"token": "first\n"})
	var sent []string
	server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Get("Authorization"))
		fmt.Fprint(w, serverJSON(secret, 4_000_000_000))
	})
	src := httpSource(t, server.URL, func(o *credcache.HTTPOptions) { o.Token, o.TokenFile = "", mounted.path("token") })
	for _, token := range []string{"second", ""} {
		if _, err := src.Fetch(t.Context(), uploads); err != nil {
			t.Fatal(err)
		}
		mounted.swap(map[string]string{"token": token})
	}
	wantSourceError(t.Context(), t, src, credcache.SourceError{
		Source: "http", Code: "Unreadable", Message: "is empty", Retryable: true}, nil)
	if got := fmt.Sprint(sent); got != "[Bearer first Bearer second]" {
		t.Errorf("sent %s; an empty file must not become a request without a token", got)
	}
}

func TestHTTP_PrivateCertificate(t *testing.T) {
	server := httptest.NewTLSServer(text(serverJSON(secret, 4_000_000_000)))
	defer server.Close()
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	src := httpSource(t, server.URL, func(o *credcache.HTTPOptions) { o.Transport = transport })
	if _, err := src.Fetch(t.Context(), uploads); err != nil {
		t.Fatal(err)
	}
}

func TestNewHTTP_Options(t *testing.T) {
	for _, tt := range []struct {
		opts  credcache.HTTPOptions
		field string
	}{
		{credcache.HTTPOptions{URL: "https://credentials.example.com"}, ""},
		{credcache.HTTPOptions{URL: "https://credentials.example.com/sts?team=a", Token: secret}, ""},
		{credcache.HTTPOptions{URL: "http://localhost:8080/sts", TokenFile: "token"}, ""},
		{credcache.HTTPOptions{URL: "http://127.0.0.2/"}, ""},
		{credcache.HTTPOptions{URL: "http://[::1]:1/"}, ""},
		{credcache.HTTPOptions{}, "URL"},
		{credcache.HTTPOptions{URL: "credentials.example.com"}, "URL"},
		{credcache.HTTPOptions{URL: "ftp://credentials.example.com"}, "URL"},
		{credcache.HTTPOptions{URL: "https://"}, "URL"},
		{credcache.HTTPOptions{URL: "https://a:" + secret + "@credentials.example.com"}, "URL"},
		{credcache.HTTPOptions{URL: "https://credentials.example.com/#" + secret}, "URL"},
		{credcache.HTTPOptions{URL: "https://%zz" + secret}, "URL"},
		{credcache.HTTPOptions{URL: "http://credentials.example.com/?key=" + secret}, "URL"},
		{credcache.HTTPOptions{URL: "http://10.0.0.1/"}, "URL"},
		{credcache.HTTPOptions{URL: "http://127.0.0.1.example.com/"}, "URL"},
		{credcache.HTTPOptions{URL: "https://credentials.example.com/?bucket=" + secret}, "URL"},
		{credcache.HTTPOptions{URL: "https://credentials.example.com/", Token: secret + "\n"}, "Token"},
		{credcache.HTTPOptions{URL: "https://credentials.example.com/", Token: secret, TokenFile: "token"}, "TokenFile"},
	} {
		_, err := credcache.NewHTTP(tt.opts)
		wantProblem(t, err, tt.field)
	}
}

// The cache does not call a server earlier than it asks for in Retry-After.
func TestHTTP_RetryAfter(t *testing.T) {
	const asked = 2 * time.Minute
	for _, tt := range []struct {
		name  string
		value func() string
	}{
		{"seconds", func() string { return "120" }},
		{"date", func() string { return time.Now().Add(asked + time.Second).UTC().Format(http.TimeFormat) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls []time.Duration
			start := time.Now()
			src := httpSource(t, "https://issuer.internal", func(o *credcache.HTTPOptions) {
				o.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
					calls = append(calls, time.Since(start))
					w := httptest.NewRecorder()
					if len(calls) == 1 {
						fmt.Fprint(w, serverJSON(secret, start.Add(30*time.Minute).Unix()))
						return w.Result(), nil
					}
					w.Header().Set("Retry-After", tt.value())
					w.WriteHeader(http.StatusServiceUnavailable)
					return w.Result(), nil
				})
			})
			withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				start = time.Now()
				p := c.For(uploads)
				p.Warm()
				time.Sleep(28 * time.Minute)
				if _, err := p.Credentials(t.Context()); err != nil {
					t.Error(err)
				}
			})
			if len(calls) < 4 {
				t.Fatalf("calls at %v, want 4 or more", calls)
			}
			for i, at := range calls[2:] {
				if gap := at - calls[i+1]; gap < asked || gap > 2*asked {
					t.Errorf("%v between two calls, want %v to %v", gap, asked, 2*asked)
				}
			}
		})
	}
}
