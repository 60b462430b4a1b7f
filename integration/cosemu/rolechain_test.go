package cosemu_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/integration/cosemu"
)

const podARN = "qcs::cam::uin/100000000001:roleName/pod"

// tc3Call is a signed call of AssumeRole in JSON, with the header fields of the general SDK.
type tc3Call struct {
	Host, Body, Authorization, Timestamp, Token string
	SecretID                                    string `json:"secret_id"`
	SecretKey                                   string `json:"secret_key"`
}

func (c tc3Call) send(t *testing.T, srv *cosemu.Server) httpResponse {
	t.Helper()
	return raw(t, strings.TrimPrefix(srv.STSURL(), "http://"), fmt.Sprintf(
		"POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nX-TC-Action: AssumeRole\r\nX-TC-Version: 2018-08-13\r\n"+
			"X-TC-Region: ap-beijing\r\nX-TC-Timestamp: %s\r\nX-TC-Token: %s\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		c.Host, c.Timestamp, c.Token, c.Authorization, len(c.Body), c.Body))
}

// signed returns the call with a signature of the SecretKey.
func (c tc3Call) signed() tc3Call {
	seconds, _ := strconv.ParseInt(c.Timestamp, 10, 64) // a bad one gets a signature that STS rejects
	return c.signedOn(time.Unix(seconds, 0).UTC().Format("2006-01-02"))
}

// signedOn is signed with any date.
func (c tc3Call) signedOn(date string) tc3Call {
	hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	key := []byte("TC3" + c.SecretKey)
	mac := func(s string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return h.Sum(nil)
	}
	text := "TC3-HMAC-SHA256\n" + c.Timestamp + "\n" + date + "/sts/tc3_request\n" +
		hash("POST\n/\n\ncontent-type:application/json\nhost:"+c.Host+"\n\ncontent-type;host\n"+hash(c.Body))
	for _, part := range []string{date, "sts", "tc3_request"} {
		key = mac(part)
	}
	c.Authorization = fmt.Sprintf("TC3-HMAC-SHA256 Credential=%s/%s/sts/tc3_request, SignedHeaders=content-type;host, Signature=%x", c.SecretID, date, mac(text))
	return c
}

// TestAssumeRole_CapturedTC3Call verifies the signature of a call that the general SDK sent
// with temporary credentials, and of changed ones.
func TestAssumeRole_CapturedTC3Call(t *testing.T) {
	captured := readCaptures(t).STSTC3
	seconds, err := strconv.ParseInt(captured.Timestamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	srv := start(t, cosemu.Options{
		Roles: []cosemu.Role{{ARN: podARN}, {ARN: "qcs::cam::uin/100000000001:roleName/cos-sidecar", TrustedRoles: []string{podARN}}},
	}.WithClock(func() time.Time { return time.Unix(seconds, 0) }))
	if err := srv.AddCredentials(cosemu.Credentials{SecretID: captured.SecretID, SecretKey: captured.SecretKey, Token: captured.Token, Role: podARN}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*tc3Call)
		code   string
	}{
		{"captured", func(*tc3Call) {}, ""},
		{"signed here", func(c *tc3Call) { *c = c.signed() }, ""},
		{"body", func(c *tc3Call) { c.Body = strings.Replace(c.Body, "7200", "7201", 1) }, "AuthFailure.SignatureFailure"},
		{"host", func(c *tc3Call) { c.Host = "sts.example" }, "AuthFailure.SignatureFailure"},
		{"time", func(c *tc3Call) { c.Timestamp = fmt.Sprint(seconds + 1) }, "AuthFailure.SignatureFailure"},
		{"date", func(c *tc3Call) { c.Authorization = strings.Replace(c.Authorization, "2026-11-23", "2026-11-24", 1) }, "AuthFailure.SignatureFailure"},
		{"date of another zone", func(c *tc3Call) { *c = c.signedOn("2026-11-24") }, "AuthFailure.SignatureFailure"},
		{"late", func(c *tc3Call) { c.Timestamp = fmt.Sprint(seconds - 301); *c = c.signed() }, "AuthFailure.SignatureExpire"},
		{"no time", func(c *tc3Call) { c.Timestamp = ""; *c = c.signed() }, "AuthFailure.SignatureFailure"},
		{"other key", func(c *tc3Call) { c.SecretKey = "x"; *c = c.signed() }, "AuthFailure.SignatureFailure"},
		{"other id", func(c *tc3Call) { c.SecretID = "AKIDx"; *c = c.signed() }, "AuthFailure.SecretIdNotFound"},
		{"other token", func(c *tc3Call) { c.Token += "x" }, "AuthFailure.TokenFailure"},
		{"no token", func(c *tc3Call) { c.Token = "" }, "AuthFailure.TokenFailure"},
		{"service", func(c *tc3Call) { c.Authorization = strings.Replace(c.Authorization, "/sts/", "/cam/", 1) }, "AuthFailure.InvalidAuthorization"},
		{"host unsigned", func(c *tc3Call) { c.Authorization = strings.Replace(c.Authorization, ";host", "", 1) }, "AuthFailure.InvalidAuthorization"},
		{"scheme", func(c *tc3Call) { c.Authorization = strings.Replace(c.Authorization, "TC3-", "", 1) }, "AuthFailure.InvalidAuthorization"},
		{"unknown parameter", func(c *tc3Call) { c.Body = `{"ProviderId":"a"}`; *c = c.signed() }, "UnknownParameter"},
		{"no JSON", func(c *tc3Call) { c.Body = `{`; *c = c.signed() }, "InvalidParameter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := captured
			tt.change(&c)
			if got := stsCode(t, c.send(t, srv)); got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
		})
	}
}

// TestAssumeRole_Trust has a call of AssumeRole by the credentials of another role for each
// combination of trust and permission.
func TestAssumeRole_Trust(t *testing.T) {
	assume := func(effect, resource string) string {
		return fmt.Sprintf(`{"effect":%q,"action":"name/sts:AssumeRole","resource":%q}`, effect, resource)
	}
	policy := func(statements ...string) string {
		return `{"version":"2.0","statement":[` + strings.Join(statements, ",") + `]}`
	}
	everything := `{"effect":"allow","action":"*","resource":"*"}`
	for _, tt := range []struct {
		name    string
		trusted []string
		policy  string // of the first role
		code    string
	}{
		{"trusted, all permissions", []string{podARN}, "", ""},
		{"trusted, this permission", []string{"qcs::cam::uin/1:roleName/x", podARN}, policy(assume("allow", sidecarARN)), ""},
		{"trusted, all roles", []string{podARN}, policy(assume("allow", "qcs::cam::uin/100000000001:roleName/*")), ""},
		{"not trusted", nil, "", "UnauthorizedOperation"},
		{"another is trusted", []string{podARN + "2"}, "", "UnauthorizedOperation"},
		{"trusts itself", []string{sidecarARN}, "", "UnauthorizedOperation"},
		{"no permission", []string{podARN}, policy(`{"effect":"allow","action":"name/cos:*","resource":"*"}`), "UnauthorizedOperation"},
		{"permission for another role", []string{podARN}, policy(assume("allow", podARN)), "UnauthorizedOperation"},
		{"denied", []string{podARN}, policy(everything, assume("deny", sidecarARN)), "UnauthorizedOperation"},
		{"another is denied", []string{podARN}, policy(everything, assume("deny", podARN)), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := start(t, cosemu.Options{Roles: []cosemu.Role{
				{ARN: podARN, Policy: tt.policy, ProviderID: "tke", WebIdentityToken: func() string { return "eyJ" }},
				{ARN: sidecarARN, TrustedRoles: tt.trusted},
			}})
			if got := stsCode(t, assumeRole(t, srv, podCredentials(t, srv), "")); got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
		})
	}
}

// podCredentials returns the credentials of podARN for its web identity.
func podCredentials(t *testing.T, srv *cosemu.Server) clientCredentials {
	t.Helper()
	result, err := stsClient(t, srv, clientCredentials{}).AssumeRoleWithWebIdentity(&sts.WebIdentityOptions{
		ProviderId: "tke", WebIdentityToken: "eyJ", RoleArn: podARN, RoleSessionName: "pod",
	})
	if err != nil {
		t.Fatal(err)
	}
	return clientCredentials{result.Credentials.TmpSecretID, result.Credentials.TmpSecretKey, result.Credentials.SessionToken}
}

// assumeRole calls AssumeRole for sidecarARN, signed by creds.
func assumeRole(t *testing.T, srv *cosemu.Server, creds clientCredentials, policy string) httpResponse {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"RoleArn": sidecarARN, "RoleSessionName": "sidecar", "Policy": url.QueryEscape(policy), "DurationSeconds": 1800, "ExternalId": "tenant-7",
	})
	if err != nil {
		t.Fatal(err)
	}
	return tc3Call{
		Host: strings.TrimPrefix(srv.STSURL(), "http://"), Body: string(body), Timestamp: fmt.Sprint(time.Now().Unix()),
		SecretID: creds.id, SecretKey: creds.secretKey, Token: creds.token,
	}.signed().send(t, srv)
}

// TestAssumeRole_Chain follows the credentials of a role through a second one to COS: they
// have the rights that the second role and the session policy allow, and none of the first.
func TestAssumeRole_Chain(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{
		{ARN: podARN, ProviderID: "tke", WebIdentityToken: func() string { return "eyJ" },
			Policy: `{"version":"2.0","statement":[{"effect":"allow","action":"name/sts:AssumeRole","resource":"` + sidecarARN + `"}]}`},
		{ARN: sidecarARN, TrustedRoles: []string{podARN, sidecarARN}, ExternalID: "tenant-7", Policy: jsonPolicy("name/cos:*", bucket1+"/shared/*")},
	}})
	first := podCredentials(t, srv)
	_, err := sdk(t, srv, bucket1, first).Object.Put(t.Context(), "shared/a", strings.NewReader("x"), nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")

	response := assumeRole(t, srv, first, jsonPolicy("name/cos:PutObject", bucket1+"/*"))
	var result struct {
		Response struct {
			Credentials struct{ TmpSecretID, TmpSecretKey, Token string }
		}
	}
	if err := json.Unmarshal([]byte(response.body), &result); err != nil {
		t.Fatal(err)
	}
	second := clientCredentials{result.Response.Credentials.TmpSecretID, result.Response.Credentials.TmpSecretKey, result.Response.Credentials.Token}
	if c, known := srv.Credentials(second.id); !known || c.Role != sidecarARN || c.Token != second.token || c.SecretKey != second.secretKey {
		t.Errorf("%+v, %v", c, known)
	}
	c := sdk(t, srv, bucket1, second)
	put(t, c, "shared/a", "x")
	_, err = c.Object.Put(t.Context(), "other/a", strings.NewReader("x"), nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	_, err = c.Object.Get(t.Context(), "shared/a", nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")

	// The session policy does not allow another AssumeRole.
	if got := stsCode(t, assumeRole(t, srv, second, "")); got != "UnauthorizedOperation" {
		t.Errorf("a third role: %q", got)
	}
	federated := issue(t, srv, policyOf([]string{"*"}, []string{"*"}))
	if got := stsCode(t, assumeRole(t, srv, federated, "")); got != "UnauthorizedOperation" {
		t.Errorf("credentials without a role: %q", got)
	}
	if !srv.Revoke(first.id) {
		t.Error("the first credentials are unknown")
	}
	if got := stsCode(t, assumeRole(t, srv, first, "")); got != "AuthFailure.SecretIdNotFound" {
		t.Errorf("revoked credentials: %q", got)
	}
}

// TestAssumeRole_FormWithToken uses the v1 scheme, in which the token is a signed parameter.
func TestAssumeRole_FormWithToken(t *testing.T) {
	now := time.Now()
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{
		{ARN: podARN, ProviderID: "tke", WebIdentityToken: func() string { return "eyJ" }},
		{ARN: sidecarARN, TrustedRoles: []string{podARN}},
	}}.WithClock(func() time.Time { return now }))
	creds := podCredentials(t, srv)
	call := func(action, token string) string {
		t.Helper()
		return callSTS(t, srv, signedForm(srv, creds.secretKey, map[string]string{
			"Action": action, "SecretId": creds.id, "Token": token, "RoleArn": sidecarARN, "RoleSessionName": "sidecar",
			"Timestamp": fmt.Sprint(now.Unix()),
		}).Encode())
	}
	for _, tt := range []struct{ action, token, code string }{
		{"AssumeRole", creds.token, ""},
		{"AssumeRole", "", "AuthFailure.TokenFailure"},
		{"AssumeRole", creds.token[1:], "AuthFailure.TokenFailure"},
		{"GetFederationToken", creds.token, "FailedOperation.TempKeyNotAllowed"},
	} {
		if got := call(tt.action, tt.token); got != tt.code {
			t.Errorf("%s with a token of %d bytes: %q, want %q", tt.action, len(tt.token), got, tt.code)
		}
	}
	now = now.Add(30 * time.Minute) // the SDK requests 1800 s
	if got := call("AssumeRole", creds.token); got != "AuthFailure.TokenFailure" {
		t.Errorf("expired credentials: %q", got)
	}
}

// TestSTSFault_Action limits a fault to one action.
func TestSTSFault_Action(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{
		{ARN: podARN, ProviderID: "tke", WebIdentityToken: func() string { return "eyJ" }}, {ARN: sidecarARN, TrustedRoles: []string{podARN}},
	}})
	srv.SetSTSFault(cosemu.SourceFault{Action: "AssumeRole", Times: 1, Code: "RequestLimitExceeded"})
	creds := podCredentials(t, srv)
	for _, want := range []string{"RequestLimitExceeded", ""} {
		if got := stsCode(t, assumeRole(t, srv, creds, "")); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestWebIdentityToken_Issuer decodes a token.
func TestWebIdentityToken_Issuer(t *testing.T) {
	token := cosemu.WebIdentityToken("ap-beijing", "7cbe7ca92eba3abc76a17de1")
	payload := strings.Split(token, ".")[1]
	var claims struct{ Iss string }
	if text, err := base64.RawURLEncoding.DecodeString(payload); err != nil || json.Unmarshal(text, &claims) != nil ||
		claims.Iss != "https://ap-beijing-oidc.tke.tencentcs.com/id/7cbe7ca92eba3abc76a17de1" {
		t.Errorf("%s, %v", text, err)
	}
	if token == cosemu.WebIdentityToken("ap-beijing", "7cbe7ca92eba3abc76a17de1") {
		t.Error("two equal tokens")
	}
}
