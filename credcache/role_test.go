package credcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func roleSource(t *testing.T, endpoint string, change func(*credcache.RoleOptions)) credcache.Source {
	t.Helper()
	opts := credcache.RoleOptions{Pair: longLived, RoleARN: exampleRole, Endpoint: endpoint}
	if change != nil {
		change(&opts)
	}
	src, err := credcache.NewRole(opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestRole_Request(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		change                      func(*credcache.RoleOptions)
		session, external, duration string
	}{
		{"defaults", nil, "cosproxy", "", "1800"},
		{"all given", func(o *credcache.RoleOptions) {
			o.SessionName, o.ExternalID, o.Duration = "pod-1@example", "tenant/7", 12*time.Hour
		}, "pod-1@example", "tenant/7", "43200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expires := time.Now().Add(time.Hour).Unix()
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				verifySTSRequest(t, r, map[string]string{
					"Action": "AssumeRole", "RoleArn": exampleRole, "RoleSessionName": tt.session,
					"ExternalId": tt.external, "DurationSeconds": tt.duration,
				})
				issue(w, expires)
			})
			creds, err := roleSource(t, server.URL, tt.change).Fetch(t.Context(), uploads)
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: secret, Token: secret, Expires: time.Unix(expires, 0)}
			if err != nil || creds != want {
				t.Errorf("got %v, %v, want %v", creds, err, want)
			}
		})
	}
}

func TestRole_Errors(t *testing.T) {
	for code, want := range map[string]credcache.SourceError{
		"InternalError.GetRoleError":           {Hint: "role ARN", Retryable: true},
		"ResourceNotFound.RoleNotFound":        {Hint: "role ARN"},
		"AuthFailure.UnauthorizedOperation":    {Hint: "trust policy"},
		"InvalidParameter.OverTimeError":       {Hint: "maximum session duration"},
		"InvalidParameter.AccessKeyNotSupport": {},
		"RequestLimitExceeded":                 {Hint: "too many calls", Retryable: true},
	} {
		t.Run(code, func(t *testing.T) {
			server := stsServer(t, stsResponse(fmt.Sprintf(`"Error":{"Code":%q,"Message":"not with %s"},"RequestId":"req-7"`, code, secret)))
			want.Source, want.Code, want.RequestID, want.Message = "role", code, "req-7", "not with [redacted]"
			wantSourceError(t.Context(), t, roleSource(t, server.URL, nil), want, nil)
		})
	}
}

func TestNewRole_Options(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*credcache.RoleOptions)
		field  string // "": no problem
	}{
		{"a role by its id", func(o *credcache.RoleOptions) { o.RoleARN = "qcs::cam::uin/100000000001:role/46116860184" }, ""},
		{"no role", func(o *credcache.RoleOptions) { o.RoleARN = "" }, "RoleARN"},
		{"only the name", func(o *credcache.RoleOptions) { o.RoleARN = "example" }, "RoleARN"},
		{"a role with a line break", func(o *credcache.RoleOptions) { o.RoleARN += "\n" }, "RoleARN"},
		{"no pair", func(o *credcache.RoleOptions) { o.Pair = nil }, "Pair"},
		{"an endpoint with a path", func(o *credcache.RoleOptions) { o.Endpoint = "https://example.com/sts" }, "Endpoint"},
		{"the shortest session name", func(o *credcache.RoleOptions) { o.SessionName = "ab" }, ""},
		{"the longest session name", func(o *credcache.RoleOptions) { o.SessionName = strings.Repeat("a", 128) }, ""},
		{"one letter", func(o *credcache.RoleOptions) { o.SessionName = "a" }, "SessionName"},
		{"129 letters", func(o *credcache.RoleOptions) { o.SessionName = strings.Repeat("a", 129) }, "SessionName"},
		{"all signs", func(o *credcache.RoleOptions) { o.SessionName = "a_1+=,.@-" }, ""},
		{"a slash", func(o *credcache.RoleOptions) { o.SessionName = "a/b" }, "SessionName"},
		{"the longest lifetime", func(o *credcache.RoleOptions) { o.Duration = 12 * time.Hour }, ""},
		{"too long a lifetime", func(o *credcache.RoleOptions) { o.Duration = 12*time.Hour + time.Second }, "Duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := credcache.RoleOptions{Pair: longLived, RoleARN: exampleRole}
			tt.change(&opts)
			_, err := credcache.NewRole(opts)
			wantProblem(t, err, tt.field)
		})
	}
}
