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

func cvmSource(t *testing.T, endpoint, role string) credcache.Source {
	t.Helper()
	src, err := credcache.NewCVM(credcache.CVMOptions{Endpoint: endpoint, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// metadataServer simulates the metadata service of an instance with these roles, and returns
// credentials for the role example. A request with a method or query that the service does
// not know fails the test.
func metadataServer(t *testing.T, roles, credentials string) string {
	t.Helper()
	const path = "/latest/meta-data/cam/security-credentials/"
	server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.RawQuery != "" {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		switch r.URL.Path {
		case path:
			fmt.Fprint(w, roles)
		case path + "example":
			fmt.Fprint(w, credentials)
		default:
			http.NotFound(w, r)
		}
	})
	return server.URL
}

func metadataCredentials(expires string) string {
	return `{"TmpSecretId":"AKID-1","TmpSecretKey":"` + secret + `","Token":"` + secret + `",` + expires + `,"Code":"Success"}`
}

func TestCVM_Fetch(t *testing.T) {
	// Nothing listens there: a source that uses the proxy gets no credentials.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	seconds := fmt.Sprintf(`"ExpiredTime":%d`, expires.Unix())
	date := `"Expiration":"` + expires.UTC().Format(time.RFC3339) + `"`
	for _, tt := range []struct{ name, role, roles, expires string }{
		{"discovered", "", "example", seconds},
		{"a line break at the end", "", "example\n", seconds},
		{"named", "example", "unlisted", seconds},
		{"several, and one named", "example", "example\nother", seconds},
		{"expiry as a date", "", "example", date},
		{"the seconds count", "", "example", seconds + `,"Expiration":"1970-01-01T00:00:01Z"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			creds, err := cvmSource(t, metadataServer(t, tt.roles, metadataCredentials(tt.expires)), tt.role).Fetch(t.Context(), uploads)
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: secret, Token: secret, Expires: time.Unix(expires.Unix(), 0)}
			if err != nil || creds != want {
				t.Errorf("got %v, %v, want %v", creds, err, want)
			}
		})
	}
}

func TestCVM_Errors(t *testing.T) {
	future := fmt.Sprintf(`"ExpiredTime":%d`, time.Now().Add(time.Hour).Unix())
	for _, tt := range []struct {
		name, role, roles, credentials string
		want                           credcache.SourceError
		cause                          error
	}{
		{"no role", "", "", "", credcache.SourceError{Code: "NoRole", Message: "no role attached", Hint: "attach a role"}, nil},
		{"only line breaks", "", "\n\n", "", credcache.SourceError{Code: "NoRole", Message: "no role attached"}, nil},
		{"several roles", "", "example\nother\n", "", credcache.SourceError{
			Code: "SeveralRoles", Message: "example, other", Hint: "set Role"}, nil},
		{"no such role", "other", "", "", credcache.SourceError{
			Code: "HTTP 404", Message: "the role other is not attached", Hint: "correct Role"}, nil},
		{"a role that is gone", "", "other", "", credcache.SourceError{Code: "HTTP 404", Message: "no role attached"}, nil},
		{"HTML for the roles", "", "<html><body>log in " + secret, "", credcache.SourceError{
			Message: "unexpected or truncated", Hint: "no proxy intercepts", Retryable: true}, credcache.ErrInvalidResponse},
		{"a path for a role", "", "../../user-data", "", credcache.SourceError{Message: "unexpected or truncated", Retryable: true}, credcache.ErrInvalidResponse},
		{"a code", "", "example", `{"Code":"Failed"}`, credcache.SourceError{
			Code: "Failed", Message: "no credentials for the role example", Hint: "trusts the CVM service", Retryable: true}, credcache.ErrInvalidResponse},
		{"no code", "", "example", strings.Replace(metadataCredentials(future), "Success", "", 1), credcache.SourceError{
			Message: "no credentials for the role example", Retryable: true}, credcache.ErrInvalidResponse},
		{"no token", "", "example", `{"TmpSecretId":"AKID-1","TmpSecretKey":"` + secret + `",` + future + `,"Code":"Success"}`,
			credcache.SourceError{Message: "lacks the session token", Retryable: true}, credcache.ErrInvalidResponse},
		{"no expiry", "", "example", metadataCredentials(`"ExpiredTime":0`),
			credcache.SourceError{Message: "lacks the expiry", Retryable: true}, credcache.ErrInvalidResponse},
		{"expired", "", "example", metadataCredentials(`"ExpiredTime":1`),
			credcache.SourceError{Message: "expired at 1970", Hint: "clock", Retryable: true}, credcache.ErrInvalidResponse},
		{"expiry as text", "", "example", metadataCredentials(`"ExpiredTime":"` + secret + `"`),
			credcache.SourceError{Message: "unexpected or truncated", Retryable: true}, credcache.ErrInvalidResponse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Source = "cvm"
			wantSourceError(t.Context(), t, cvmSource(t, metadataServer(t, tt.roles, tt.credentials), tt.role), tt.want, tt.cause)
		})
	}
	absent := stsServer(t, http.NotFound)
	wantSourceError(t.Context(), t, cvmSource(t, absent.URL, ""),
		credcache.SourceError{Source: "cvm", Code: "HTTP 404", Message: "no role attached", Hint: "attach a role"}, nil)
}

func TestNewCVM_Options(t *testing.T) {
	for _, tt := range []struct{ endpoint, role, field string }{
		{"", "", ""},
		{"http://169.254.0.23", "example", ""},
		{"169.254.0.23", "", "Endpoint"},
		{"http://169.254.0.23/latest", "", "Endpoint"},
		{"", "qcs::cam::uin/1:roleName/example", "Role"},
		{"", "a b", "Role"},
		{"", "../x", "Role"},
	} {
		_, err := credcache.NewCVM(credcache.CVMOptions{Endpoint: tt.endpoint, Role: tt.role})
		wantProblem(t, err, tt.field)
	}
}
