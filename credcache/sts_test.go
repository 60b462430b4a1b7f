package credcache_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

var longLived = credcache.FixedPair(longLivedID, secret)

// stsServer starts a server with this handler. It closes with the test.
func stsServer(t *testing.T, respond http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(respond)
	t.Cleanup(server.Close)
	return server
}

func stsSource(t *testing.T, endpoint string, change func(*credcache.STSOptions)) credcache.Source {
	t.Helper()
	opts := credcache.STSOptions{Pair: longLived, Endpoint: endpoint}
	if change != nil {
		change(&opts)
	}
	src, err := credcache.NewSTS(opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// stringToSign returns the string to sign of the v1 protocol: method, host, "/?" and the
// parameters without the signature, sorted and not encoded.
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

// TestSTSSignature_CapturedRequest checks stringToSign and signature, which the other tests
// use, with a captured request of the SDK.
func TestSTSSignature_CapturedRequest(t *testing.T) {
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

func stsResponse(fields string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"Response":{%s}}`, fields)
	}
}

func issue(w http.ResponseWriter, expires int64) {
	fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":"%s","TmpSecretId":"AKID-1","TmpSecretKey":"%s"},"ExpiredTime":%d,"RequestId":"req-1"}}`,
		secret, secret, expires)
}

func TestSTS_Request(t *testing.T) {
	for _, tt := range []struct {
		name     string
		duration time.Duration
		want     string
	}{{"default lifetime", 0, "1800"}, {"given life", 2 * time.Hour, "7200"}} {
		t.Run(tt.name, func(t *testing.T) {
			expires := time.Now().Add(time.Hour).Unix()
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				verifySTSRequest(t, r, map[string]string{"Action": "GetFederationToken", "DurationSeconds": tt.want})
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

func verifySTSRequest(t *testing.T, r *http.Request, special map[string]string) {
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
	want := map[string]string{"Version": "2018-08-13", "SecretId": longLivedID, "Region": "ap-beijing"}
	maps.Copy(want, special)
	for name, want := range want {
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
	policy, err := os.ReadFile("testdata/policy/upload.json")
	if err != nil {
		t.Error(err)
	}
	var got, golden any
	if json.Unmarshal([]byte(text), &got) != nil || json.Unmarshal(policy, &golden) != nil || fmt.Sprint(got) != fmt.Sprint(golden) {
		t.Errorf("the policy is\n%s\nwant\n%s", text, policy)
	}
}

// wantSourceError fetches and compares the error. cause, if not nil, must be wrapped. An empty
// want.Source is sts.
func wantSourceError(ctx context.Context, t *testing.T, src credcache.Source, want credcache.SourceError, cause error) {
	t.Helper()
	creds, err := src.Fetch(ctx, uploads)
	var got *credcache.SourceError
	if !errors.As(err, &got) {
		t.Fatalf("got %v, %v, want a SourceError", creds, err)
	}
	if creds != (signer.Credentials{}) {
		t.Errorf("credentials together with an error: %v", creds)
	}
	if got.Source != cmp.Or(want.Source, "sts") || got.Code != want.Code || got.RequestID != want.RequestID || got.Retryable != want.Retryable ||
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

func TestSTS_ErrorCodes(t *testing.T) {
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
		{"FailedOperation.TempKeyNotAllowed", false, "long-lived key pair"},
		{"InvalidParameter.OverTimeError", false, "shorter duration"},
		{"InvalidParameter.PolicyTooLong", false, "fewer prefixes"},
		{"InvalidParameter.GrantOtherResource", false, "bucket and region"},
		{"InvalidParameter.StrategyFormatError", false, ""},
		{"ResourceNotFound.RoleNotFound", false, ""},
		{"SomethingNew", false, ""},
	} {
		t.Run(tt.code, func(t *testing.T) {
			server := stsServer(t, stsResponse(fmt.Sprintf(`"Error":{"Code":%q,"Message":"a message"},"RequestId":"req-7"`, tt.code)))
			wantSourceError(t.Context(), t, stsSource(t, server.URL, nil), credcache.SourceError{
				Code: tt.code, Message: "a message", RequestID: "req-7", Hint: tt.hint, Retryable: tt.retryable}, nil)
		})
	}
}

func TestSTS_InvalidResponse(t *testing.T) {
	garbage := credcache.SourceError{Message: "unexpected or truncated response", Hint: "endpoint", Retryable: true}
	lacks := func(fields string) credcache.SourceError {
		return credcache.SourceError{Message: "lacks the " + fields, RequestID: "req-1", Retryable: true}
	}
	for _, tt := range []struct {
		name    string
		respond http.HandlerFunc
		want    credcache.SourceError
	}{
		{"a number that quotes a secret", stsResponse(`"ExpiredTime":"` + secret + `"`), garbage},
		{"another JSON", text(`{"credentials":{"tmpSecretKey":"` + secret + `"}}`), garbage},
		{"no credentials", stsResponse(`"RequestId":"req-1"`), garbage},
		{"empty credentials", stsResponse(`"Credentials":{},"ExpiredTime":4000000000,"RequestId":"req-1"`), lacks("SecretId, SecretKey, session token")},
		{"no token", stsResponse(`"Credentials":{"TmpSecretId":"AKID-1","TmpSecretKey":"` + secret + `"},"ExpiredTime":4000000000,"RequestId":"req-1"`),
			lacks("session token")},
		{"no expiry", func(w http.ResponseWriter, _ *http.Request) { issue(w, 0) }, lacks("expiry")},
		{"an expiry before 1970", func(w http.ResponseWriter, _ *http.Request) { issue(w, -62135596800) }, lacks("expiry")},
		{"expired", func(w http.ResponseWriter, _ *http.Request) { issue(w, 1) },
			credcache.SourceError{Message: "expired at 1970-01-01T00:00:01Z", RequestID: "req-1", Hint: "clock", Retryable: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := stsServer(t, tt.respond)
			wantSourceError(t.Context(), t, stsSource(t, server.URL, nil), tt.want, credcache.ErrInvalidResponse)
		})
	}
}

func TestSTS_InvalidScope(t *testing.T) {
	calls := 0
	server := stsServer(t, func(http.ResponseWriter, *http.Request) { calls++ })
	scope := uploads
	scope.Bucket = "examplebucket"
	_, err := stsSource(t, server.URL, nil).Fetch(t.Context(), scope)
	var failed *credcache.SourceError
	var problem *credcache.OptionError
	if !errors.As(err, &failed) || failed.Retryable || !errors.As(err, &problem) || problem.Field != "Bucket" {
		t.Errorf("got %v, want a permanent error that names the bucket", err)
	}
	if calls != 0 {
		t.Errorf("%d requests, want none", calls)
	}
}

func TestSTS_Transport(t *testing.T) {
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

func TestNewSTS_Options(t *testing.T) {
	good := credcache.STSOptions{Pair: longLived}
	for _, tt := range []struct {
		name   string
		change func(*credcache.STSOptions)
		field  string // "": no problem
	}{
		{"the zero values", func(*credcache.STSOptions) {}, ""},
		{"no pair", func(o *credcache.STSOptions) { o.Pair = nil }, "Pair"},
		{"no SecretId", func(o *credcache.STSOptions) { o.Pair = credcache.FixedPair("", secret) }, "SecretID"},
		{"no SecretKey", func(o *credcache.STSOptions) { o.Pair = credcache.FixedPair(longLivedID, "") }, "SecretKey"},
		{"a line break from a file", func(o *credcache.STSOptions) { o.Pair = credcache.FixedPair(longLivedID, secret+"\n") }, "SecretKey"},
		{"a blank", func(o *credcache.STSOptions) { o.Pair = credcache.FixedPair(" "+longLivedID, secret) }, "SecretID"},
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
		{"the minimum lifetime", func(o *credcache.STSOptions) { o.Duration = time.Second }, ""},
		{"the maximum lifetime", func(o *credcache.STSOptions) { o.Duration = 36 * time.Hour }, ""},
		{"too long a lifetime", func(o *credcache.STSOptions) { o.Duration = 36*time.Hour + time.Second }, "Duration"},
		{"a negative lifetime", func(o *credcache.STSOptions) { o.Duration = -time.Minute }, "Duration"},
		{"parts of a second", func(o *credcache.STSOptions) { o.Duration = 1500 * time.Millisecond }, "Duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := good
			tt.change(&opts)
			_, err := credcache.NewSTS(opts)
			wantProblem(t, err, tt.field)
		})
	}
	_, err := credcache.NewSTS(credcache.STSOptions{Endpoint: "x", Duration: -1})
	if got := problems(t, err); len(got) != 3 {
		t.Errorf("got %q, want all three problems at once", got)
	}
}
