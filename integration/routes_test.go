package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

// TestRoutes_CredentialsPerScope checks that routes with different permissions on one
// bucket have different credentials, and routes with equal permissions share them.
func TestRoutes_CredentialsPerScope(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	env := []string{"COSPROXY_BUCKET=", "COSPROXY_ALLOW_PREFIXES=", "COSPROXY_ALLOW_ACTIONS="}
	for i, route := range []struct{ path, actions string }{
		{"/ro/", "read"}, {"/up/", "upload"}, {"/ro-too/", "read"},
	} {
		prefix := "COSPROXY_ROUTES_" + string(rune('0'+i)) + "_"
		env = append(env, prefix+"BUCKET="+bucket, prefix+"ALLOW_PREFIXES=dir/*", prefix+"PATH_PREFIX="+route.path, prefix+"ALLOW_ACTIONS="+route.actions)
	}
	s := startSidecar(t, program(), append(sidecarEnv(emu), env...)...)

	for _, c := range []struct {
		method, target string
		status         int
		says           string
	}{
		{http.MethodPut, "/up/dir/a", http.StatusOK, ""},
		{http.MethodGet, "/ro/dir/a", http.StatusOK, "hello"},
		{http.MethodGet, "/ro-too/dir/a", http.StatusOK, "hello"},
		{http.MethodPut, "/ro/dir/a", http.StatusForbidden, "COSPROXY_ROUTES_0_ALLOW_ACTIONS"},
		{http.MethodGet, "/up/dir/a", http.StatusForbidden, "COSPROXY_ROUTES_1_ALLOW_ACTIONS"},
		{http.MethodGet, "/ro/other", http.StatusForbidden, "COSPROXY_ROUTES_0_ALLOW_PREFIXES"},
		{http.MethodGet, "/nowhere/dir/a", http.StatusNotFound, "NoSuchRoute"},
	} {
		status, body := do(t, c.method, s.url+c.target, strings.NewReader("hello"))
		if status != c.status || !strings.Contains(string(body), c.says) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.target, status, body, c.status, c.says)
		}
	}
	var ids []string
	for _, r := range emu.Requests() {
		ids = append(ids, r.SecretID)
	}
	if len(ids) != 3 || ids[0] == ids[1] || ids[1] != ids[2] {
		t.Errorf("credentials of upload, read and the other read: %q", ids)
	}
	if n := emu.Stats().STSCalls; n != 2 {
		t.Errorf("%d STS calls for two scopes", n)
	}
}

// TestRoutes_ReadOnlyCredentials bypasses the local check: the route allows
// everything, its credentials are those of a read-only scope, and COS rejects writes.
func TestRoutes_ReadOnlyCredentials(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	at := serveRoute(t, emu, []string{"read"}, []string{"dir/*"}, []string{"name/cos:*"})

	if _, err := sdkDirect(t, emu).Object.Put(t.Context(), "dir/a", strings.NewReader("hello"), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, key string
		status      int
	}{
		{http.MethodGet, "dir/a", http.StatusOK},
		{http.MethodPut, "dir/a", http.StatusForbidden},
		{http.MethodDelete, "dir/a", http.StatusForbidden},
		{http.MethodGet, "other", http.StatusForbidden},
	} {
		status, body := do(t, c.method, at+"/"+c.key, strings.NewReader("overwritten"))
		if status != c.status || status == http.StatusForbidden && !strings.Contains(string(body), "<TraceId>") {
			t.Errorf("%s %s: %d %s, want COS's own %d", c.method, c.key, status, body, c.status)
		}
	}
}
