package cosemu_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/integration/cosemu"
)

const sidecarARN = "qcs::cam::uin/100000000001:roleName/sidecar"

// jsonPolicy returns a policy with one allow statement.
func jsonPolicy(action, path string) string {
	return `{"version":"2.0","statement":[{"effect":"allow","action":"` + action + `","resource":"` + resource(path) + `"}]}`
}

// TestAssumeRole_SessionPolicy checks that the credentials of a role have the permissions
// that both policies allow.
func TestAssumeRole_SessionPolicy(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{
		{ARN: sidecarARN, Policy: jsonPolicy("name/cos:*", bucket1+"/shared/*")},
		{ARN: "qcs::cam::uin/100000000001:role/4611686018427397919"},
	}})
	all := policyOf([]string{"*"}, []string{"*"})
	writeA := policyOf([]string{"name/cos:PutObject"}, []string{resource(bucket1 + "/*")})
	tests := []struct {
		name                  string
		arn                   string
		session               *sts.CredentialPolicy
		put, get, putOutsider bool
	}{
		{"role alone decides", sidecarARN, all, true, true, false},
		{"both decide", sidecarARN, writeA, true, false, false},
		{"session alone decides", "qcs::cam::uin/100000000001:role/4611686018427397919", writeA, true, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result, err := stsClient(t, srv, longLived(srv)).GetRoleCredential(&sts.CredentialOptions{
				Policy: tt.session, Region: region, RoleArn: tt.arn, RoleSessionName: "sidecar",
			})
			if err != nil {
				t.Fatal(err)
			}
			c := sdk(t, srv, bucket1, clientCredentials{result.Credentials.TmpSecretID, result.Credentials.TmpSecretKey, result.Credentials.SessionToken})
			may := func(what string, want bool, err error) {
				t.Helper()
				if want && err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if !want {
					wantCOS(t, err, http.StatusForbidden, "AccessDenied")
				}
			}
			_, err = c.Object.Put(t.Context(), "shared/a", strings.NewReader("x"), nil)
			may("put", tt.put, err)
			_, err = c.Object.Get(t.Context(), "shared/a", nil)
			may("get", tt.get, err)
			_, err = c.Object.Put(t.Context(), "outside", strings.NewReader("x"), nil)
			may("put outside", tt.putOutsider, err)
		})
	}
}

// TestAssumeRole_NoSessionPolicy uses the empty Policy that the SDK sends.
func TestAssumeRole_NoSessionPolicy(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	srv := start(t, cosemu.Options{
		Roles: []cosemu.Role{{ARN: sidecarARN, Policy: jsonPolicy("name/cos:GetObject", bucket1+"/*"), ExternalID: "tenant-7"}},
	}.WithClock(func() time.Time { return now }))
	put(t, sdk(t, srv, bucket1, longLived(srv)), "a", "body")
	result, err := stsClient(t, srv, longLived(srv)).GetRoleCredential(&sts.CredentialOptions{
		RoleArn: sidecarARN, RoleSessionName: "sidecar", ExternalId: "tenant-7", DurationSeconds: 43200,
	})
	if err != nil || int64(result.ExpiredTime) != now.Unix()+43200 {
		t.Fatalf("%+v, %v", result, err)
	}
	c := sdk(t, srv, bucket1, clientCredentials{result.Credentials.TmpSecretID, result.Credentials.TmpSecretKey, result.Credentials.SessionToken})
	if body, _ := get(t, c, "a", nil); body != "body" {
		t.Errorf("got %q", body)
	}
	_, err = c.Object.Delete(t.Context(), "a")
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
}

func TestAssumeRole_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{{ARN: sidecarARN, ExternalID: "tenant-7"}}})
	tests := []struct {
		name    string
		changes map[string]string
		code    string
	}{
		{"none", nil, ""},
		{"longest session name", map[string]string{"RoleSessionName": strings.Repeat("x", 128)}, ""},
		{"no policy", map[string]string{"Policy": ""}, ""},
		{"no external id", map[string]string{"ExternalId": ""}, "UnauthorizedOperation"},
		{"other external id", map[string]string{"ExternalId": "tenant-8"}, "UnauthorizedOperation"},
		{"no role", map[string]string{"RoleArn": ""}, "MissingParameter"},
		{"unknown role", map[string]string{"RoleArn": sidecarARN + "2"}, "ResourceNotFound.RoleNotFound"},
		{"role of another account", map[string]string{"RoleArn": "qcs::cam::uin/100000000002:roleName/sidecar"}, "ResourceNotFound.RoleNotFound"},
		{"role's bare name", map[string]string{"RoleArn": "sidecar"}, "InvalidParameter.ParamError"},
		{"invalid role id", map[string]string{"RoleArn": "qcs::cam::uin/100000000001:role/sidecar"}, "InvalidParameter.ParamError"},
		{"no session name", map[string]string{"RoleSessionName": ""}, "MissingParameter"},
		{"short session name", map[string]string{"RoleSessionName": "x"}, "InvalidParameter.ParamError"},
		{"long session name", map[string]string{"RoleSessionName": strings.Repeat("x", 129)}, "InvalidParameter.ParamError"},
		{"session name with a slash", map[string]string{"RoleSessionName": "a/b"}, "InvalidParameter.ParamError"},
		{"no region", map[string]string{"Region": ""}, "MissingParameter"},
		{"policy", map[string]string{"Policy": "%7B"}, "InvalidParameter.StrategyFormatError"},
		{"long policy", map[string]string{"Policy": strings.Repeat("x", 6145)}, "InvalidParameter.PolicyTooLong"},
		{"duration", map[string]string{"DurationSeconds": "-1"}, "InvalidParameter.ParamError"},
		{"long duration", map[string]string{"DurationSeconds": "43201"}, "InvalidParameter.OverTimeError"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changes := map[string]string{
				"Action": "AssumeRole", "Name": "", "RoleArn": sidecarARN, "RoleSessionName": "sidecar", "ExternalId": "tenant-7",
			}
			maps.Copy(changes, tt.changes)
			if got := callSTS(t, srv, signedForm(srv, srv.SecretKey(), changes).Encode()); got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
		})
	}
	if got := callSTS(t, srv, signedForm(srv, "wrong", map[string]string{"Action": "AssumeRole"}).Encode()); got != "AuthFailure.SignatureFailure" {
		t.Errorf("a wrong signature: %q", got)
	}
	if stats := srv.Stats(); stats.STSActions["AssumeRole"] != len(tests)+1 || stats.CredentialsIssued != 3 {
		t.Errorf("%+v", stats)
	}
}

func TestStart_InvalidRole(t *testing.T) {
	token := func() string { return "token" }
	for name, role := range map[string]cosemu.Role{
		"ARN":          {ARN: "sidecar"},
		"policy":       {ARN: sidecarARN, Policy: "{}"},
		"token alone":  {ARN: sidecarARN, WebIdentityToken: token},
		"no token":     {ARN: sidecarARN, ProviderID: "tke"},
		"trust":        {ARN: sidecarARN, TrustedRoles: []string{"sidecar"}},
		"two segments": {ARN: "qcs::cam::uin/1:roleName/a/b"},
	} {
		if srv, err := cosemu.Start(cosemu.Options{Roles: []cosemu.Role{role}}); err == nil {
			t.Errorf("%s: accepted", name)
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestFederationToken_LimitedCaller checks that credentials cannot grant permissions that
// they lack.
func TestFederationToken_LimitedCaller(t *testing.T) {
	srv := start(t, cosemu.Options{})
	caller := cosemu.Credentials{SecretID: "AKIDlimited", SecretKey: "secret", Policy: jsonPolicy("name/cos:GetObject", bucket1+"/*")}
	if err := srv.AddCredentials(caller); err != nil {
		t.Fatal(err)
	}
	result, err := stsClient(t, srv, clientCredentials{id: caller.SecretID, secretKey: caller.SecretKey}).
		GetCredential(&sts.CredentialOptions{Policy: policyOf([]string{"*"}, []string{"*"})})
	if err != nil {
		t.Fatal(err)
	}
	put(t, sdk(t, srv, bucket1, longLived(srv)), "a", "body")
	c := sdk(t, srv, bucket1, clientCredentials{result.Credentials.TmpSecretID, result.Credentials.TmpSecretKey, result.Credentials.SessionToken})
	get(t, c, "a", nil)
	_, err = c.Object.Delete(t.Context(), "a")
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
}
