package cosemu_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

func instanceURL(srv *cosemu.Server, role string) string {
	return srv.MetadataURL() + "/latest/meta-data/cam/security-credentials/" + role
}

// metadataCredentials are credentials in the JSON of the metadata service.
type metadataCredentials struct {
	TmpSecretID       string `json:"TmpSecretId"`
	TmpSecretKey      string
	Token, Expiration string
	ExpiredTime       int64
	Code              string
}

func fetchMetadataCredentials(t *testing.T, srv *cosemu.Server, role string) metadataCredentials {
	t.Helper()
	a, err := fetch(instanceURL(srv, role))
	if err != nil {
		t.Fatal(err)
	}
	var creds metadataCredentials
	if err := json.Unmarshal([]byte(a.body), &creds); err != nil || a.status != http.StatusOK || creds.Code != "Success" {
		t.Fatalf("%+v, %v", a, err)
	}
	return creds
}

func TestMetadata_Roles(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{
		{ARN: "qcs::cam::uin/100000000001:roleName/unbound"},
		{ARN: sidecarARN, Instance: true, Policy: jsonPolicy("name/cos:PutObject", bucket1+"/*")},
		{ARN: "qcs::cam::uin/100000000001:roleName/second", Instance: true},
	}})
	a, err := fetch(instanceURL(srv, ""))
	if err != nil || a.status != http.StatusOK || strings.Join(strings.Fields(a.body), " ") != "sidecar second" {
		t.Errorf("%+v, %v", a, err)
	}
	creds := fetchMetadataCredentials(t, srv, "sidecar")
	c := sdk(t, srv, bucket1, clientCredentials{creds.TmpSecretID, creds.TmpSecretKey, creds.Token})
	put(t, c, "a", "body")
	_, err = c.Object.Get(t.Context(), "a", nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	if second := fetchMetadataCredentials(t, srv, "second"); second.TmpSecretID == creds.TmpSecretID {
		t.Error("two roles have the same credentials")
	}

	for path, status := range map[string]int{
		instanceURL(srv, "unbound"):   http.StatusNotFound,
		instanceURL(srv, "none"):      http.StatusNotFound,
		instanceURL(srv, "sidecar/"):  http.StatusNotFound,
		srv.MetadataURL() + "/":       http.StatusNotFound,
		srv.MetadataURL() + "/sts":    http.StatusNotFound,
		instanceURL(srv, "sidecar?x"): http.StatusNotFound,
	} {
		if a, err := fetch(path); err != nil || a.status != status {
			t.Errorf("%s: %+v, %v", path, a, err)
		}
	}
	r, err := http.NewRequest(http.MethodPut, instanceURL(srv, "sidecar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := send(r); err != nil || a.status != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %+v, %v", a, err)
	}
	if got := srv.Stats().MetadataCalls(); got != 10 {
		t.Errorf("%d calls counted, want 10", got)
	}
}

func TestMetadata_NoRoles(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{{ARN: sidecarARN}}})
	if a, err := fetch(instanceURL(srv, "")); err != nil || a.status != http.StatusNotFound {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestMetadata_Renewal checks that the credentials stay the same until a tenth of
// their lifetime is left. Then there are new ones, and the old ones stay valid.
func TestMetadata_Renewal(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Now().Unix())
	now := func() time.Time { return time.Unix(clock.Load(), 0) }
	srv := start(t, cosemu.Options{CredentialsDuration: 100 * time.Second, Roles: []cosemu.Role{{ARN: sidecarARN, Instance: true}}}.WithClock(now))
	first := fetchMetadataCredentials(t, srv, "sidecar")
	expires := now().Add(100 * time.Second)
	if first.ExpiredTime != expires.Unix() || first.Expiration != expires.UTC().Format(time.RFC3339) {
		t.Errorf("expires %d %s, want %s", first.ExpiredTime, first.Expiration, expires)
	}
	clock.Add(89)
	if again := fetchMetadataCredentials(t, srv, "sidecar"); again != first {
		t.Errorf("renewed with 11 s left: %+v, before %+v", again, first)
	}
	clock.Add(1)
	second := fetchMetadataCredentials(t, srv, "sidecar")
	if second.TmpSecretID == first.TmpSecretID || second.ExpiredTime != now().Unix()+100 {
		t.Errorf("not renewed with 10 s left: %+v", second)
	}
	if got := srv.Stats().CredentialsIssued; got != 2 {
		t.Errorf("%d credentials issued, want 2", got)
	}
}
