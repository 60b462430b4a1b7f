package cosemu_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/integration/cosemu"
)

// TestWebIdentity_Rotation uses a token, then a rotated one, then one with a trailing
// newline.
func TestWebIdentity_Rotation(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	var token atomic.Value
	token.Store("eyJ.one")
	srv := start(t, cosemu.Options{
		Roles: []cosemu.Role{{
			ARN: sidecarARN, Policy: jsonPolicy("name/cos:PutObject", bucket1+"/*"),
			ProviderID: "tke", WebIdentityToken: func() string { return token.Load().(string) },
		}},
	}.WithClock(func() time.Time { return now }))
	ask := func(token string) (*sts.CredentialResult, error) {
		return stsClient(t, srv, clientCredentials{}).AssumeRoleWithWebIdentity(&sts.WebIdentityOptions{
			Region: "ap-beijing", ProviderId: "tke", WebIdentityToken: token, RoleArn: sidecarARN, RoleSessionName: "pod", DurationSeconds: 7200,
		})
	}
	result, err := ask("eyJ.one")
	if err != nil || int64(result.ExpiredTime) != now.Unix()+7200 {
		t.Fatalf("%+v, %v", result, err)
	}
	c := sdk(t, srv, bucket1, clientCredentials{result.Credentials.TmpSecretID, result.Credentials.TmpSecretKey, result.Credentials.SessionToken})
	put(t, c, "a", "body")
	_, err = c.Object.Get(t.Context(), "a", nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")

	calls := srv.STSRequests()
	if len(calls) != 1 || calls[0].Action != "AssumeRoleWithWebIdentity" || calls[0].Region != "ap-beijing" ||
		calls[0].Params.Get("RoleSessionName") != "pod" || calls[0].Params.Get("DurationSeconds") != "7200" {
		t.Errorf("%+v", calls)
	}

	token.Store("eyJ.two")
	for shown, code := range map[string]string{
		"eyJ.two":   "",
		"eyJ.one":   "InvalidParameter.WebIdentityTokenError",
		"eyJ.two\n": "InvalidParameter.WebIdentityTokenError",
	} {
		_, err := ask(shown)
		var e *sts.CredentialError
		if errors.As(err, &e); err != nil && e == nil || e != nil && e.Code != code || e == nil && code != "" {
			t.Errorf("%q: got %v, want code %q", shown, err, code)
		}
	}
}

func TestWebIdentity_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{
		{ARN: sidecarARN, ProviderID: "tke", WebIdentityToken: func() string { return "eyJ" }},
		{ARN: "qcs::cam::uin/100000000001:roleName/other"},
	}})
	type fields map[string]any
	tests := []struct {
		name   string
		header [2]string // "" removes the field
		body   fields    // nil removes the parameter
		code   string
	}{
		{code: ""},
		{name: "duration by default", body: fields{"DurationSeconds": nil}, code: ""},
		{name: "no SKIP", header: [2]string{"Authorization", ""}, code: "AuthFailure.InvalidAuthorization"},
		{name: "signed", header: [2]string{"Authorization", "TC3-HMAC-SHA256 Credential=x"}, code: "AuthFailure.InvalidAuthorization"},
		{name: "another action", header: [2]string{"X-TC-Action", "AssumeRole"}, code: "AuthFailure.InvalidAuthorization"},
		{name: "no action", header: [2]string{"X-TC-Action", ""}, code: "UnsupportedProtocol"},
		{name: "version", header: [2]string{"X-TC-Version", "2017-03-12"}, code: "NoSuchVersion"},
		{name: "no region", header: [2]string{"X-TC-Region", ""}, code: "MissingParameter"},
		{name: "late", header: [2]string{"X-TC-Timestamp", fmt.Sprint(time.Now().Add(-6 * time.Minute).Unix())}, code: "AuthFailure.SignatureExpire"},
		{name: "no time", header: [2]string{"X-TC-Timestamp", ""}, code: "AuthFailure.SignatureExpire"},
		{name: "content type", header: [2]string{"Content-Type", "text/plain"}, code: "UnsupportedProtocol"},
		{name: "provider", body: fields{"ProviderId": "eks"}, code: "UnauthorizedOperation"},
		{name: "no provider", body: fields{"ProviderId": nil}, code: "MissingParameter"},
		{name: "token", body: fields{"WebIdentityToken": "eyJ "}, code: "InvalidParameter.WebIdentityTokenError"},
		{name: "no token", body: fields{"WebIdentityToken": nil}, code: "MissingParameter"},
		{name: "role without a provider", body: fields{"RoleArn": "qcs::cam::uin/100000000001:roleName/other"}, code: "UnauthorizedOperation"},
		{name: "unknown role", body: fields{"RoleArn": sidecarARN + "2"}, code: "ResourceNotFound.RoleNotFound"},
		{name: "session name", body: fields{"RoleSessionName": "a b"}, code: "InvalidParameter.ParamError"},
		{name: "long duration", body: fields{"DurationSeconds": 43201}, code: "InvalidParameter.OverTimeError"},
		{name: "half a second", body: fields{"DurationSeconds": 0.5}, code: "InvalidParameter.ParamError"},
		{name: "duration as text", body: fields{"DurationSeconds": "7200"}, code: "InvalidParameter"},
		{name: "role as number", body: fields{"RoleArn": 1}, code: "InvalidParameter"},
		{name: "policy", body: fields{"Policy": "{}"}, code: "UnknownParameter"},
		{name: "casing", body: fields{"providerId": "tke"}, code: "UnknownParameter"},
	}
	issued := 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := fields{"ProviderId": "tke", "WebIdentityToken": "eyJ", "RoleArn": sidecarARN, "RoleSessionName": "pod", "DurationSeconds": 7200}
			for name, value := range tt.body {
				if body[name] = value; value == nil {
					delete(body, name)
				}
			}
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if got := callWebIdentity(t, srv, string(text), tt.header); got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
		})
		if tt.code == "" {
			issued++
		}
	}
	for _, body := range []string{"", "[]", "{", "{}{}"} {
		if got := callWebIdentity(t, srv, body, [2]string{}); got != "InvalidParameter" {
			t.Errorf("body %q: got %q", body, got)
		}
	}
	if got := srv.Stats().CredentialsIssued; got != issued {
		t.Errorf("%d keys issued, want %d", got, issued)
	}
}

// callWebIdentity sends the call of the SDK with one changed header field.
func callWebIdentity(t *testing.T, srv *cosemu.Server, body string, changed [2]string) (code string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, srv.STSURL(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-TC-Action": "AssumeRoleWithWebIdentity", "X-TC-Version": "2018-08-13", "X-TC-Region": region,
		"X-TC-Timestamp": fmt.Sprint(time.Now().Unix()), "Content-Type": "application/json", "Authorization": "SKIP",
	} {
		r.Header.Set(name, value)
	}
	if r.Header.Set(changed[0], changed[1]); changed[1] == "" {
		r.Header.Del(changed[0])
	}
	a, err := send(r)
	if err != nil {
		t.Fatal(err)
	}
	return stsCode(t, a)
}
