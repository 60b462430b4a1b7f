package integration_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

const (
	podRole    = "qcs::cam::uin/100000000001:roleName/pod"
	secondRole = "qcs::cam::uin/100000000001:roleName/cosproxy"
	providerID = "7cbe7ca92eba3abc76a17de1"
)

// startTwoRoles starts an emulator with the role of a pod, which may only assume the second
// role if that trusts it, and returns the environment of the pod: a TKE cluster that sets only
// the role and the token.
func startTwoRoles(t *testing.T, trusted ...string) (*cosemu.Server, []string) {
	t.Helper()
	token := cosemu.WebIdentityToken(region, providerID)
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, Roles: []cosemu.Role{
		{ARN: podRole, ProviderID: providerID, WebIdentityToken: func() string { return token },
			Policy: `{"version":"2.0","statement":[{"effect":"allow","action":"name/sts:AssumeRole","resource":"` + secondRole + `"}]}`},
		{ARN: secondRole, TrustedRoles: trusted, ExternalID: "tenant-7"},
	}})
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return emu, []string{
		"COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0", "COSPROXY_LOG_FORMAT=json", "COSPROXY_SPLAY=0s",
		"COSPROXY_REGION=" + region, "COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com",
		"COSPROXY_CONNECT_TO=" + emu.COSAddr(), "COSPROXY_STS_ENDPOINT=" + emu.STSURL(),
		"COSPROXY_ROUTES_0_BUCKET=" + bucket, "COSPROXY_ROUTES_0_PATH_PREFIX=/a/", "COSPROXY_ROUTES_0_OBJECT_PREFIX=a/",
		"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a/*", "COSPROXY_ROUTES_0_ALLOW_ACTIONS=read,upload",
		"COSPROXY_ROUTES_1_BUCKET=" + bucket, "COSPROXY_ROUTES_1_PATH_PREFIX=/b/", "COSPROXY_ROUTES_1_OBJECT_PREFIX=b/",
		"COSPROXY_ROUTES_1_ALLOW_PREFIXES=b/*", "COSPROXY_ROUTES_1_ALLOW_ACTIONS=upload",
		"TKE_ROLE_ARN=" + podRole, "TKE_WEB_IDENTITY_TOKEN_FILE=" + path,
		"COSPROXY_ROLE_ARN=" + secondRole, "COSPROXY_ROLE_EXTERNAL_ID=tenant-7",
	}
}

// sdkWith returns the official SDK for the emulator itself, with issued credentials.
func sdkWith(t *testing.T, emu *cosemu.Server, secretID string) *cos.Client {
	t.Helper()
	creds, known := emu.Credentials(secretID)
	if !known {
		t.Fatalf("unknown credentials %s", secretID)
	}
	transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://" + emu.COSAddr()) }}
	t.Cleanup(transport.CloseIdleConnections)
	c := cos.NewClient(sdkDirect(t, emu).BaseURL, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID: creds.SecretID, SecretKey: creds.SecretKey, SessionToken: creds.Token, Transport: transport,
	}})
	c.Conf.RetryOpt.Count = 1
	return c
}

// firstSecretID returns the SecretId of the first role's credentials from the page /status.
func (s *sidecar) firstSecretID(t *testing.T) string {
	t.Helper()
	_, page := do(t, http.MethodGet, s.admin+"/status", nil)
	match := regexp.MustCompile(`(?m)^first role +(AKID[\w-]+), expires`).FindSubmatch(page)
	if match == nil {
		t.Fatalf("no credentials of the first role:\n%s", page)
	}
	return string(match[1])
}

// TestRoleChain_RoutesAreEnforcedByCOS uses the credentials of two routes, and those of the
// pod's role, directly at COS: it accepts each only within its route.
func TestRoleChain_RoutesAreEnforcedByCOS(t *testing.T) {
	t.Parallel()
	emu, environ := startTwoRoles(t, podRole)
	s := startSidecar(t, program(), environ...)
	s.waitReady(t)
	secretIDs := make(map[string]string) // by route
	for _, route := range []string{"a", "b"} {
		if status, body := do(t, http.MethodPut, s.url+"/"+route+"/key", strings.NewReader("hello")); status != http.StatusOK {
			t.Fatalf("route %s: %d %s", route, status, body)
		}
		requests := emu.Requests()
		secretIDs[route] = requests[len(requests)-1].SecretID
	}
	secretIDs["first role"] = s.firstSecretID(t)
	for _, tt := range []struct {
		credentials, action, key string
		allowed                  bool
	}{
		{"a", "put", "a/key", true}, {"a", "get", "a/key", true}, {"a", "delete", "a/key", false}, {"a", "list", "a/", false},
		{"a", "put", "b/key", false}, {"a", "get", "b/key", false}, {"a", "put", "key", false},
		{"b", "put", "b/key", true}, {"b", "get", "b/key", false}, {"b", "put", "a/key", false}, {"b", "get", "a/key", false},
		{"first role", "put", "a/key", false}, {"first role", "get", "a/key", false}, {"first role", "list", "", false},
	} {
		c := sdkWith(t, emu, secretIDs[tt.credentials])
		var err error
		switch tt.action {
		case "put":
			_, err = c.Object.Put(t.Context(), tt.key, strings.NewReader("x"), nil)
		case "get":
			_, err = c.Object.Get(t.Context(), tt.key, nil)
		case "delete":
			_, err = c.Object.Delete(t.Context(), tt.key)
		case "list":
			_, _, err = c.Bucket.Get(t.Context(), &cos.BucketGetOptions{Prefix: tt.key})
		}
		var e *cos.ErrorResponse
		if denied := errors.As(err, &e) && e.Code == "AccessDenied"; denied == tt.allowed || tt.allowed != (err == nil) {
			t.Errorf("%s of %q with the credentials of %s: %v, want allowed: %v", tt.action, tt.key, tt.credentials, err, tt.allowed)
		}
	}
	if got := emu.Stats().STSActions; got["AssumeRoleWithWebIdentity"] != 1 || got["AssumeRole"] != 2 || len(got) != 2 {
		t.Errorf("calls of STS: %v", got)
	}
	for _, id := range []string{secretIDs["a"], secretIDs["b"], secretIDs["first role"]} {
		creds, _ := emu.Credentials(id)
		if log := s.log.String(); strings.Contains(log, creds.SecretKey) || strings.Contains(log, creds.Token) {
			t.Errorf("the log has a secret of %s", id)
		}
	}
}

// waitUnready polls the admin listener until the sidecar is not ready for this reason.
func (s *sidecar) waitUnready(t *testing.T, reason string) {
	t.Helper()
	var page []byte
	for range 500 {
		var status int
		if status, page = do(t, http.MethodGet, s.admin+"/readyz", nil); status != http.StatusOK && strings.Contains(string(page), reason) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("/readyz does not say %q:\n%s", reason, page)
}

// TestRoleChain_FirstCredentialsRejected revokes the credentials of the pod's role while
// the second role is not yet assumed.
func TestRoleChain_FirstCredentialsRejected(t *testing.T) {
	t.Parallel()
	emu, environ := startTwoRoles(t, podRole)
	emu.SetSTSFault(cosemu.SourceFault{Action: "AssumeRole", Code: "InternalError.SystemError", Message: "not now"})
	s := startSidecar(t, program(), environ...)
	s.waitUnready(t, "role: InternalError.SystemError")
	first := s.firstSecretID(t)
	if !emu.Revoke(first) {
		t.Fatal("unknown credentials")
	}
	emu.SetSTSFault(cosemu.SourceFault{})
	s.waitReady(t)
	if got := emu.Stats().STSActions["AssumeRoleWithWebIdentity"]; got != 2 {
		t.Errorf("%d calls for the first role, want 2", got)
	}
	if now := s.firstSecretID(t); now == first {
		t.Error("the revoked credentials are still in use")
	}
	if status, body := do(t, http.MethodPut, s.url+"/a/key", strings.NewReader("hello")); status != http.StatusOK {
		t.Errorf("PUT: %d %s", status, body)
	}
}

// TestRoleChain_Throttled exceeds the quota of STS once for each role.
func TestRoleChain_Throttled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		action, failure string // in the log
		identities      int    // calls of AssumeRoleWithWebIdentity
	}{
		{"AssumeRoleWithWebIdentity", "error.message\":\"no credentials to assume the role: oidc: RequestLimitExceeded", 2},
		{"AssumeRole", "error.message\":\"role: RequestLimitExceeded", 1},
	} {
		t.Run(tt.action, func(t *testing.T) {
			t.Parallel()
			emu, environ := startTwoRoles(t, podRole)
			emu.SetSTSFault(cosemu.SourceFault{Action: tt.action, Times: 1, Code: "RequestLimitExceeded", Message: "too many calls"})
			s := startSidecar(t, program(), environ...)
			s.waitReady(t)
			if got := emu.Stats().STSActions; got["AssumeRoleWithWebIdentity"] != tt.identities || got["AssumeRole"] > 3 {
				t.Errorf("calls of STS: %v", got)
			}
			if !strings.Contains(s.log.String(), tt.failure) {
				t.Errorf("the log does not say %q", tt.failure)
			}
		})
	}
}

// TestRoleChain_NoTrust checks that check names both policies, and that nothing reaches COS.
func TestRoleChain_NoTrust(t *testing.T) {
	t.Parallel()
	emu, environ := startTwoRoles(t)
	check := exec.Command(program(), "check")
	check.Env = append(cleanEnv(), environ...)
	out, err := check.CombinedOutput()
	if err == nil {
		t.Error("check succeeded")
	}
	for _, want := range []string{
		"FAILED (role_trust)", "STS denies " + podRole + " to assume " + secondRole + ": UnauthorizedOperation",
		`"principal":{"qcs":["` + podRole + `"]}`, `"resource":["` + secondRole + `"]`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if n := emu.Stats().COSRequests; n != 0 {
		t.Errorf("%d requests reached COS", n)
	}
}
