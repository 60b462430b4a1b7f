package cosemu_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/integration/cosemu"
)

func TestSTS_UniqueCredentials(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	client := stsClient(t, srv, longLived(srv))
	seen := map[string]bool{}
	for range 3 {
		result, err := client.GetCredential(&sts.CredentialOptions{Policy: policyOf([]string{"*"}, []string{"*"}), DurationSeconds: 600})
		if err != nil {
			t.Fatal(err)
		}
		c := result.Credentials
		for _, part := range []string{c.TmpSecretID, c.TmpSecretKey, c.SessionToken} {
			if len(part) < 40 || seen[part] {
				t.Errorf("short or repeated: %s", part)
			}
			seen[part] = true
		}
		if want := now.Add(10 * time.Minute); int64(result.ExpiredTime) != want.Unix() || result.Expiration != want.UTC().Format(time.RFC3339) {
			t.Errorf("expires %d %s, want %s", result.ExpiredTime, result.Expiration, want)
		}
	}
	if s := srv.Stats(); s.STSCalls != 3 || s.CredentialsIssued != 3 {
		t.Errorf("%+v", s)
	}
}

func TestSTS_CredentialsDuration(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	srv := start(t, cosemu.Options{CredentialsDuration: 5 * time.Second}.WithClock(func() time.Time { return now }))
	result, err := stsClient(t, srv, longLived(srv)).GetCredential(&sts.CredentialOptions{Policy: policyOf([]string{"*"}, []string{"*"}), DurationSeconds: 600})
	if err != nil || int64(result.ExpiredTime) != now.Unix()+5 {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestSTS_CapturedCall verifies the signature of a call that the STS SDK sent to
// another host, with its original body.
func TestSTS_CapturedCall(t *testing.T) {
	for _, v := range readCaptures(t).STS {
		t.Run(v.ID, func(t *testing.T) {
			form, err := url.ParseQuery(v.Body)
			if err != nil {
				t.Fatal(err)
			}
			var seconds int64
			if _, err := fmt.Sscan(form.Get("Timestamp"), &seconds); err != nil {
				t.Fatal(err)
			}
			srv := start(t, cosemu.Options{
				Roles: []cosemu.Role{{ARN: "qcs::cam::uin/100000000001:roleName/cos-sidecar"}},
			}.WithAccount(v.SecretID, v.SecretKey).WithClock(func() time.Time { return time.Unix(seconds, 0) }))
			send := func(body string) string {
				return raw(t, strings.TrimPrefix(srv.STSURL(), "http://"), fmt.Sprintf(
					"POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", v.Host, len(body), body)).body
			}
			if got := send(v.Body); !strings.Contains(got, "TmpSecretId") {
				t.Errorf("rejected: %s", got)
			}
			for _, changed := range []string{
				strings.Replace(v.Body, "DurationSeconds=", "DurationSeconds=1", 1),
				strings.Replace(v.Body, "GetObject", "PutObject", 1),
				strings.Replace(v.Body, "Nonce=", "Nonce=1", 1),
				v.Body + "&Extra=1",
			} {
				if got := send(changed); !strings.Contains(got, "AuthFailure.SignatureFailure") {
					t.Errorf("accepted %s: %s", changed, got)
				}
			}
		})
	}
}

// signedForm returns a signed GetFederationToken call with the changes; an empty value
// removes the parameter.
func signedForm(srv *cosemu.Server, secret string, changes map[string]string) url.Values {
	policy := `{"version":"2.0","statement":[{"effect":"allow","action":["*"],"resource":["*"]}]}`
	all := map[string]string{
		"Action": "GetFederationToken", "Version": "2018-08-13", "Region": region, "Name": "test", "Nonce": "1",
		"SecretId": srv.SecretID(), "Timestamp": fmt.Sprint(time.Now().Unix()), "Policy": url.QueryEscape(policy),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	form := url.Values{}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		form.Set(name, all[name])
		pairs = append(pairs, name+"="+all[name])
	}
	mac := hmac.New(sha1.New, []byte(secret))
	fmt.Fprintf(mac, "POST%s/?%s", strings.TrimPrefix(srv.STSURL(), "http://"), strings.Join(pairs, "&"))
	form.Set("Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return form
}

func TestSTS_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{})
	temporary := issue(t, srv, policyOf([]string{"*"}, []string{"*"}))
	issued := srv.Stats().CredentialsIssued
	ago := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(-d).Unix()) }
	tests := []struct {
		name    string
		secret  string
		changes map[string]string
		code    string
	}{
		{"wrong secret", "x", nil, "AuthFailure.SignatureFailure"},
		{"unknown id", "", map[string]string{"SecretId": "x"}, "AuthFailure.SecretIdNotFound"},
		{"temporary credentials", temporary.secretKey, map[string]string{"SecretId": temporary.id}, "FailedOperation.TempKeyNotAllowed"},
		{"late", "", map[string]string{"Timestamp": ago(6 * time.Minute)}, "AuthFailure.SignatureExpire"},
		{"early", "", map[string]string{"Timestamp": ago(-6 * time.Minute)}, "AuthFailure.SignatureExpire"},
		{"no time", "", map[string]string{"Timestamp": ""}, "AuthFailure.SignatureExpire"},
		{"action", "", map[string]string{"Action": "GetCallerIdentity"}, "InvalidAction"},
		{"version", "", map[string]string{"Version": "2017-03-12"}, "NoSuchVersion"},
		{"name", "", map[string]string{"Name": "1 2"}, "InvalidParameter.ParamError"},
		{"no policy", "", map[string]string{"Policy": ""}, "MissingParameter"},
		{"policy", "", map[string]string{"Policy": "%7B"}, "InvalidParameter.StrategyFormatError"},
		{"policy encoding", "", map[string]string{"Policy": "%7"}, "InvalidParameter.StrategyFormatError"},
		{"long policy", "", map[string]string{"Policy": strings.Repeat("x", 6145)}, "InvalidParameter.PolicyTooLong"},
		{"duration", "", map[string]string{"DurationSeconds": "0"}, "InvalidParameter.ParamError"},
		{"long duration", "", map[string]string{"DurationSeconds": "129601"}, "InvalidParameter.OverTimeError"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			secret := tt.secret
			if secret == "" {
				secret = srv.SecretKey()
			}
			if got := callSTS(t, srv, signedForm(srv, secret, tt.changes).Encode()); got != tt.code {
				t.Errorf("got %s, want %s", got, tt.code)
			}
		})
	}
	for name, body := range map[string]string{
		"repeated": signedForm(srv, srv.SecretKey(), nil).Encode() + "&Action=GetFederationToken",
		"no form":  "%zz",
	} {
		if got := callSTS(t, srv, body); got != "InvalidParameter" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := callSTS(t, srv, signedForm(srv, srv.SecretKey(), nil).Encode()); got != "" {
		t.Errorf("the call without changes: %s", got)
	}
	if got := srv.Stats().CredentialsIssued; got != issued+1 {
		t.Errorf("%d credentials issued, want 1", got-issued)
	}
}

// callSTS posts a form and returns the error code of the response.
func callSTS(t *testing.T, srv *cosemu.Server, form string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, srv.STSURL(), strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := send(r)
	if err != nil {
		t.Fatal(err)
	}
	return stsCode(t, a)
}

// stsCode returns the error code in a response of STS.
func stsCode(t *testing.T, a httpResponse) string {
	t.Helper()
	var body struct {
		Response struct {
			Error     struct{ Code, Message string }
			RequestID string `json:"RequestId"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK || body.Response.RequestID == "" {
		t.Errorf("%+v, %v", a, err)
	}
	return body.Response.Error.Code
}

func TestSTS_ErrorThroughSDK(t *testing.T) {
	srv := start(t, cosemu.Options{})
	_, err := stsClient(t, srv, clientCredentials{id: srv.SecretID(), secretKey: "wrong"}).GetCredential(&sts.CredentialOptions{Policy: policyOf([]string{"*"}, []string{"*"})})
	var e *sts.CredentialError
	if !errors.As(err, &e) || e.Code != "AuthFailure.SignatureFailure" {
		t.Error(err)
	}
}
