package credcache_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func oidcSource(t *testing.T, endpoint string, change func(*credcache.OIDCOptions)) credcache.Source {
	t.Helper()
	opts := credcache.OIDCOptions{
		Region: "ap-shanghai", ProviderID: "cls-example", RoleARN: exampleRole,
		TokenFile: write(t, t.TempDir(), "token", secret), Endpoint: endpoint,
	}
	if change != nil {
		change(&opts)
	}
	src, err := credcache.NewOIDC(opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestOIDC_Request(t *testing.T) {
	for _, tt := range []struct {
		name            string
		change          func(*credcache.OIDCOptions)
		region, session string
		duration        int
	}{
		{"defaults", nil, "ap-shanghai", "cosproxy", 1800},
		{"no region", func(o *credcache.OIDCOptions) { o.Region = "" }, uploads.Region, "cosproxy", 1800},
		{"all given", func(o *credcache.OIDCOptions) { o.SessionName, o.Duration = "pod-1", 2*time.Hour }, "ap-shanghai", "pod-1", 7200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expires := time.Now().Add(time.Hour).Unix()
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				for name, want := range map[string]string{
					"X-TC-Action": "AssumeRoleWithWebIdentity", "X-TC-Version": "2018-08-13", "X-TC-Region": tt.region,
					"Authorization": "SKIP", "Content-Type": "application/json",
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %s, want %s", name, got, want)
					}
				}
				at, err := strconv.ParseInt(r.Header.Get("X-TC-Timestamp"), 10, 64)
				if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
					t.Errorf("X-TC-Timestamp: %s", r.Header.Get("X-TC-Timestamp"))
				}
				var got map[string]any
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
					t.Error(err)
				}
				want := map[string]any{
					"ProviderId": "cls-example", "WebIdentityToken": secret, "RoleArn": exampleRole,
					"RoleSessionName": tt.session, "DurationSeconds": tt.duration,
				}
				if r.Method != http.MethodPost || r.URL.Path != "/" || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got %s %s %v, want %v", r.Method, r.URL, got, want)
				}
				issue(w, expires)
			})
			creds, err := oidcSource(t, server.URL, tt.change).Fetch(t.Context(), uploads)
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: secret, Token: secret, Expires: time.Unix(expires, 0)}
			if err != nil || creds != want {
				t.Errorf("got %v, %v, want %v", creds, err, want)
			}
		})
	}
}

func TestOIDC_RotatedToken(t *testing.T) {
	mounted := newMount(t, map[string]string{"token": "first\n"})
	var tokens []string
	server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct{ WebIdentityToken string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		tokens = append(tokens, body.WebIdentityToken)
		issue(w, time.Now().Add(time.Hour).Unix())
	})
	src := oidcSource(t, server.URL, func(o *credcache.OIDCOptions) { o.TokenFile = mounted.path("token") })
	for _, next := range []string{" second\r\n", "", secret + " " + secret, "third"} {
		_, err := src.Fetch(t.Context(), uploads)
		if err != nil {
			wantSourceError(t.Context(), t, src, credcache.SourceError{
				Source: "oidc", Code: "Unreadable", Message: "TokenFile: " + mounted.path("token"), Hint: "check", Retryable: true}, nil)
		}
		mounted.swap(map[string]string{"token": next})
	}
	if _, err := src.Fetch(t.Context(), uploads); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(tokens); got != "[first second third]" {
		t.Errorf("sent the tokens %s", got)
	}
}

func TestOIDC_Errors(t *testing.T) {
	for code, want := range map[string]credcache.SourceError{
		"InvalidParameter.WebIdentityTokenError": {Hint: "identity provider"},
		"UnauthorizedOperation":                  {Hint: "trust policy"},
		"RequestLimitExceeded":                   {Hint: "too many calls", Retryable: true},
		"InternalError.SystemError":              {Retryable: true},
	} {
		t.Run(code, func(t *testing.T) {
			server := stsServer(t, stsResponse(fmt.Sprintf(`"Error":{"Code":%q,"Message":"not with %s"},"RequestId":"req-7"`, code, secret)))
			want.Source, want.Code, want.RequestID, want.Message = "oidc", code, "req-7", "not with [redacted]"
			wantSourceError(t.Context(), t, oidcSource(t, server.URL, nil), want, nil)
		})
	}
}

func TestNewOIDC_Options(t *testing.T) {
	for field, change := range map[string]func(*credcache.OIDCOptions){
		"":            func(*credcache.OIDCOptions) {},
		"TokenFile":   func(o *credcache.OIDCOptions) { o.TokenFile = "" },
		"RoleARN":     func(o *credcache.OIDCOptions) { o.RoleARN = "x" },
		"Region":      func(o *credcache.OIDCOptions) { o.Region = "ap beijing" },
		"SessionName": func(o *credcache.OIDCOptions) { o.SessionName = "x" },
		"Endpoint":    func(o *credcache.OIDCOptions) { o.Endpoint = "sts" },
		"Duration":    func(o *credcache.OIDCOptions) { o.Duration = 13 * time.Hour },
	} {
		opts := credcache.OIDCOptions{ProviderID: "cls-example", TokenFile: "token", RoleARN: exampleRole}
		change(&opts)
		_, err := credcache.NewOIDC(opts)
		wantProblem(t, err, field)
	}
}
