package credcache_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

const longLivedID = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE"

// stsServer answers with answer and closes with the test. Its connections end
// with each answer, so that no goroutine outlives the test.
func stsServer(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server
}

func stsSource(t *testing.T, endpoint string, change func(*credcache.STSOptions)) credcache.Source {
	t.Helper()
	opts := credcache.STSOptions{SecretID: longLivedID, SecretKey: secret, Endpoint: endpoint}
	if change != nil {
		change(&opts)
	}
	src, err := credcache.NewSTS(opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// stringToSign is what a request of the v1 protocol is signed over: method,
// host, "/?" and the parameters without the signature, sorted and not encoded.
func stringToSign(host string, form url.Values) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "Signature" {
			pairs = append(pairs, name+"="+form.Get(name))
		}
	}
	return "POST" + host + "/?" + strings.Join(pairs, "&")
}

func signature(secretKey, text string) string {
	mac := hmac.New(sha1.New, []byte(secretKey))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestTheVerifierOfTheseTests holds stringToSign and signature against a
// captured request of the SDK.
func TestTheVerifierOfTheseTests(t *testing.T) {
	data, err := os.ReadFile("testdata/sts-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var vector map[string]string
	if err := json.Unmarshal(data, &vector); err != nil {
		t.Fatal(err)
	}
	form, err := url.ParseQuery(vector["body"])
	if err != nil {
		t.Fatal(err)
	}
	text := stringToSign(vector["host"], form)
	if text != vector["string_to_sign"] {
		t.Errorf("string to sign\n%s\nwant\n%s", text, vector["string_to_sign"])
	}
	if got := signature(vector["secret_key"], text); got != vector["signature"] || got != form.Get("Signature") {
		t.Errorf("signature %s, want %s", got, vector["signature"])
	}
}

func answer(fields string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"Response":{%s}}`, fields)
	}
}

func issue(w http.ResponseWriter, expires int64) {
	fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":"%s","TmpSecretId":"AKID-1","TmpSecretKey":"%s"},"ExpiredTime":%d,"RequestId":"req-1"}}`,
		secret, secret, expires)
}

func TestSTSRequest(t *testing.T) {
	for _, tt := range []struct {
		name     string
		duration time.Duration
		want     string
	}{{"default life", 0, "1800"}, {"given life", 2 * time.Hour, "7200"}} {
		t.Run(tt.name, func(t *testing.T) {
			expires := time.Now().Add(time.Hour).Unix()
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				verifySTSRequest(t, r, tt.want)
				issue(w, expires)
			})
			src := stsSource(t, server.URL+"/", func(o *credcache.STSOptions) { o.Duration = tt.duration })
			creds, err := src.Fetch(t.Context(), uploads)
			if err != nil {
				t.Fatal(err)
			}
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: secret, Token: secret, Expires: time.Unix(expires, 0)}
			if creds != want {
				t.Errorf("got %v, want %v", creds, want)
			}
		})
	}
}

func verifySTSRequest(t *testing.T, r *http.Request, duration string) {
	t.Helper()
	if err := r.ParseForm(); err != nil {
		t.Error(err)
	}
	form := r.PostForm
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.URL.RawQuery != "" {
		t.Errorf("got %s %s, want POST /", r.Method, r.URL)
	}
	if got, want := form.Get("Signature"), signature(secret, stringToSign(r.Host, form)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	for name, want := range map[string]string{
		"Action": "GetFederationToken", "Version": "2018-08-13", "SecretId": longLivedID,
		"Region": "ap-beijing", "DurationSeconds": duration,
	} {
		if got := form.Get(name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	if at, err := strconv.ParseInt(form.Get("Timestamp"), 10, 64); err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Errorf("Timestamp=%s", form.Get("Timestamp"))
	}
	text, err := url.QueryUnescape(form.Get("Policy"))
	if err != nil {
		t.Error(err)
	}
	want, err := os.ReadFile("testdata/policy/upload.json")
	if err != nil {
		t.Error(err)
	}
	var got, golden any
	if json.Unmarshal([]byte(text), &got) != nil || json.Unmarshal(want, &golden) != nil || fmt.Sprint(got) != fmt.Sprint(golden) {
		t.Errorf("the policy is\n%s\nwant\n%s", text, want)
	}
}

// wantSourceError fetches and compares the error, Err and Source apart.
func wantSourceError(ctx context.Context, t *testing.T, src credcache.Source, want credcache.SourceError, cause error) {
	t.Helper()
	creds, err := src.Fetch(ctx, uploads)
	var got *credcache.SourceError
	if !errors.As(err, &got) {
		t.Fatalf("got %v, %v, want a SourceError", creds, err)
	}
	if creds != (signer.Credentials{}) {
		t.Errorf("credentials beside an error: %v", creds)
	}
	if got.Source != "sts" || got.Code != want.Code || got.RequestID != want.RequestID || got.Retryable != want.Retryable ||
		!strings.Contains(got.Message, want.Message) || !strings.Contains(got.Hint, want.Hint) {
		t.Errorf("got  %#v\nwant %#v", *got, want)
	}
	if cause != nil && !errors.Is(err, cause) {
		t.Errorf("%v does not wrap %v", err, cause)
	}
	for _, word := range []string{got.Code, got.Message, got.RequestID, got.Hint} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, *got), secret) {
		t.Errorf("the error holds a secret: %#v", *got)
	}
}

func TestSTSErrorCodes(t *testing.T) {
	for _, tt := range []struct {
		code      string
		retryable bool
		hint      string
	}{
		{"InternalError.SystemError", true, ""},
		{"InternalError", true, ""},
		{"RequestLimitExceeded", true, "too many calls"},
		{"AuthFailure.SignatureExpire", false, "clock"},
		{"AuthFailure.SecretIdNotFound", false, "long-lived SecretId"},
		{"AuthFailure.SignatureFailure", false, "long-lived SecretKey"},
		{"AuthFailure.UnauthorizedOperation", false, "sts:GetFederationToken"},
		{"UnauthorizedOperation", false, "sts:GetFederationToken"},
		{"FailedOperation.TempKeyNotAllowed", false, "long-lived pair"},
		{"InvalidParameter.OverTimeError", false, "shorter duration"},
		{"InvalidParameter.PolicyTooLong", false, "fewer prefixes"},
		{"InvalidParameter.GrantOtherResource", false, "bucket and region"},
		{"InvalidParameter.StrategyFormatError", false, ""},
		{"ResourceNotFound.RoleNotFound", false, ""},
		{"SomethingNew", false, ""},
	} {
		t.Run(tt.code, func(t *testing.T) {
			server := stsServer(t, answer(fmt.Sprintf(`"Error":{"Code":%q,"Message":"what STS says"},"RequestId":"req-7"`, tt.code)))
			wantSourceError(t.Context(), t, stsSource(t, server.URL, nil), credcache.SourceError{
				Code: tt.code, Message: "what STS says", RequestID: "req-7", Hint: tt.hint, Retryable: tt.retryable}, nil)
		})
	}
}

func TestSTSAnswersThatAreNone(t *testing.T) {
	garbage := credcache.SourceError{Message: "is not one of STS, or broke off", Hint: "endpoint", Retryable: true}
	lacks := credcache.SourceError{Message: "lacks", RequestID: "req-1", Retryable: true}
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, secret)
		}
	}
	fromOther := func(code int, retryable bool) credcache.SourceError {
		return credcache.SourceError{Code: fmt.Sprint("HTTP ", code), Message: "something else", Hint: "HTTP proxy", Retryable: retryable}
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   credcache.SourceError
		cause  error
	}{
		{"empty", body(""), garbage, credcache.ErrBadAnswer},
		{"HTML", body("<html>" + secret), garbage, credcache.ErrBadAnswer},
		{"a number that quotes a secret", body(`{"Response":{"ExpiredTime":"` + secret + `"}}`), garbage, credcache.ErrBadAnswer},
		{"another JSON", body(`{"credentials":{"tmpSecretKey":"` + secret + `"}}`), garbage, credcache.ErrBadAnswer},
		{"null", body("null"), garbage, credcache.ErrBadAnswer},
		{"no credentials", answer(`"RequestId":"req-1"`), garbage, credcache.ErrBadAnswer},
		{"empty credentials", answer(`"Credentials":{},"ExpiredTime":4000000000,"RequestId":"req-1"`), lacks, credcache.ErrBadAnswer},
		{"no token", answer(`"Credentials":{"TmpSecretId":"AKID-1","TmpSecretKey":"` + secret + `"},"ExpiredTime":4000000000,"RequestId":"req-1"`),
			lacks, credcache.ErrBadAnswer},
		{"no expiry", func(w http.ResponseWriter, _ *http.Request) { issue(w, 0) }, lacks, credcache.ErrBadAnswer},
		{"an expiry before 1970", func(w http.ResponseWriter, _ *http.Request) { issue(w, -62135596800) }, lacks, credcache.ErrBadAnswer},
		{"too long", body(strings.Repeat(" ", 65<<10) + "{}"),
			credcache.SourceError{Message: "more than 65536 bytes", Retryable: true}, credcache.ErrBadAnswer},
		{"500", status(500), fromOther(500, true), nil},
		{"502", status(502), fromOther(502, true), nil},
		{"429", status(429), fromOther(429, true), nil},
		{"403", status(403), fromOther(403, false), nil},
		{"301", status(301), fromOther(301, false), nil},
		{"307", status(307), fromOther(307, false), nil},
		{"204", status(204), fromOther(204, false), nil},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, `{"Response":`)
		}, garbage, credcache.ErrBadAnswer},
		{"not HTTP", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, "220 "+secret+"\r\n\r\n")
			conn.Close()
		}, garbage, credcache.ErrBadAnswer},
		{"reset", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}, credcache.SourceError{Message: "reset", Retryable: true}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) { calls++; tt.answer(w, r) })
			wantSourceError(t.Context(), t, stsSource(t, server.URL, nil), tt.want, tt.cause)
			server.Close()
			if calls != 1 {
				t.Errorf("%d requests, want 1: no redirect is followed, nothing is sent twice", calls)
			}
		})
	}
}

func TestSTSOutOfReach(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	wantSourceError(t.Context(), t, stsSource(t, server.URL, nil),
		credcache.SourceError{Message: "connection refused", Retryable: true}, nil)
}

func TestSTSWithAnUnknownCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	wantSourceError(t.Context(), t, stsSource(t, server.URL, nil),
		credcache.SourceError{Message: "certificate", Retryable: true}, nil)

	plain := stsServer(t, answer(""))
	wantSourceError(t.Context(), t, stsSource(t, "https"+strings.TrimPrefix(plain.URL, "http"), nil),
		credcache.SourceError{Retryable: true}, nil)
}

func TestSTSKeepsToTheContext(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"before the header": func(http.ResponseWriter) {},
		"in the body": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"Response":`)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // or the server does not see the client go
				begin(w)
				cancel()
				<-r.Context().Done()
			})
			wantSourceError(ctx, t, stsSource(t, server.URL, nil),
				credcache.SourceError{Message: "in time", Retryable: true}, context.Canceled)
		})
	}
}

func TestSTSSendsNothingForABadScope(t *testing.T) {
	calls := 0
	server := stsServer(t, func(http.ResponseWriter, *http.Request) { calls++ })
	scope := uploads
	scope.Bucket = "examplebucket"
	_, err := stsSource(t, server.URL, nil).Fetch(t.Context(), scope)
	var failed *credcache.SourceError
	var mistake *credcache.OptionError
	if !errors.As(err, &failed) || failed.Retryable || !errors.As(err, &mistake) || mistake.Field != "Bucket" {
		t.Errorf("got %v, want a permanent error that names the bucket", err)
	}
	if calls != 0 {
		t.Errorf("%d requests, want none", calls)
	}
}

func TestSTSUsesTheGivenTransport(t *testing.T) {
	var host string
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		host = r.URL.String()
		rec := httptest.NewRecorder()
		issue(rec, time.Now().Add(time.Hour).Unix())
		return rec.Result(), nil
	})
	if _, err := stsSource(t, "", func(o *credcache.STSOptions) { o.Transport = transport }).Fetch(t.Context(), uploads); err != nil {
		t.Fatal(err)
	}
	if host != "https://sts.tencentcloudapi.com" {
		t.Errorf("called %s, want the public endpoint", host)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSTSOptions(t *testing.T) {
	good := credcache.STSOptions{SecretID: longLivedID, SecretKey: secret}
	for _, tt := range []struct {
		name   string
		change func(*credcache.STSOptions)
		field  string // "": no mistake
	}{
		{"the zero values", func(*credcache.STSOptions) {}, ""},
		{"no id", func(o *credcache.STSOptions) { o.SecretID = "" }, "SecretID"},
		{"no key", func(o *credcache.STSOptions) { o.SecretKey = "" }, "SecretKey"},
		{"a line break from a file", func(o *credcache.STSOptions) { o.SecretKey += "\n" }, "SecretKey"},
		{"a blank", func(o *credcache.STSOptions) { o.SecretID = " " + o.SecretID }, "SecretID"},
		{"a host and port", func(o *credcache.STSOptions) { o.Endpoint = "http://127.0.0.1:1/" }, ""},
		{"IPv6", func(o *credcache.STSOptions) { o.Endpoint = "http://[::1]:80" }, ""},
		{"no scheme", func(o *credcache.STSOptions) { o.Endpoint = "sts.tencentcloudapi.com" }, "Endpoint"},
		{"another scheme", func(o *credcache.STSOptions) { o.Endpoint = "ftp://sts.tencentcloudapi.com" }, "Endpoint"},
		{"no host", func(o *credcache.STSOptions) { o.Endpoint = "https:///" }, "Endpoint"},
		{"only a port", func(o *credcache.STSOptions) { o.Endpoint = "https://:443" }, "Endpoint"},
		{"an empty port", func(o *credcache.STSOptions) { o.Endpoint = "https://sts.tencentcloudapi.com:" }, "Endpoint"},
		{"a path", func(o *credcache.STSOptions) { o.Endpoint = "https://sts.tencentcloudapi.com/sts" }, "Endpoint"},
		{"a query", func(o *credcache.STSOptions) { o.Endpoint = "https://sts.tencentcloudapi.com/?a=1" }, "Endpoint"},
		{"an empty query", func(o *credcache.STSOptions) { o.Endpoint = "https://sts.tencentcloudapi.com/?" }, "Endpoint"},
		{"a fragment", func(o *credcache.STSOptions) { o.Endpoint = "https://sts.tencentcloudapi.com/#" }, "Endpoint"},
		{"user information", func(o *credcache.STSOptions) { o.Endpoint = "https://user:" + secret + "@sts.tencentcloudapi.com" }, "Endpoint"},
		{"not a URL", func(o *credcache.STSOptions) { o.Endpoint = "https://%zz" + secret }, "Endpoint"},
		{"the shortest life", func(o *credcache.STSOptions) { o.Duration = time.Second }, ""},
		{"the longest life", func(o *credcache.STSOptions) { o.Duration = 36 * time.Hour }, ""},
		{"too long a life", func(o *credcache.STSOptions) { o.Duration = 36*time.Hour + time.Second }, "Duration"},
		{"a negative life", func(o *credcache.STSOptions) { o.Duration = -time.Minute }, "Duration"},
		{"parts of a second", func(o *credcache.STSOptions) { o.Duration = 1500 * time.Millisecond }, "Duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := good
			tt.change(&opts)
			_, err := credcache.NewSTS(opts)
			got := fields(t, err)
			switch {
			case tt.field == "" && err == nil:
			case len(got) != 1 || !strings.HasPrefix(got[0], tt.field+": "):
				t.Errorf("got %q, want one mistake in %q", got, tt.field)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
	_, err := credcache.NewSTS(credcache.STSOptions{Endpoint: "x", Duration: -1})
	if got := fields(t, err); len(got) != 4 {
		t.Errorf("got %q, want all four mistakes at once", got)
	}
}
