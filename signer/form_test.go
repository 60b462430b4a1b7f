package signer_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"cosproxy/signer"
)

// TestSignForm_Vector uses the worked example of the document "POST Object".
func TestSignForm_Vector(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/form.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		SecretKey    string `json:"secret_key"`
		KeyTime      string `json:"key_time"`
		PolicyText   string `json:"policy_text"`
		PolicyBase64 string `json:"policy_base64"`
		Signature    string `json:"signature"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if base64.StdEncoding.EncodeToString([]byte(v.PolicyText)) != v.PolicyBase64 {
		t.Fatal("the vector contradicts itself")
	}
	got, err := signer.FormSignature(v.PolicyText, v.SecretKey, v.KeyTime)
	if err != nil || got != v.Signature {
		t.Errorf("signature %s (%v), want %s", got, err, v.Signature)
	}
}

// TestSignForm verifies the fields with independent code.
func TestSignForm(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000045, 0)
	conditions := []signer.FormField{
		{Name: "bucket", Value: "examplebucket-1250000000"},
		{Name: "key", Value: `目录/a "b" \ <c>&d` + "\u2028"},
		{Name: "x-cos-meta-empty", Value: ""},
		{Name: "success_action_redirect", Value: "https://my.website/?a=1&b=2"},
	}
	tests := []struct {
		name       string
		creds      signer.Credentials
		keyTime    string
		expiration string
	}{
		{"long-lived", signer.Credentials{SecretID: "AKIDa", SecretKey: "secret a"}, "1699999980;1700003580", "2023-11-14T23:13:00.000Z"},
		{"temporary", signer.Credentials{SecretID: "AKIDb", SecretKey: "secret b", Token: "token b", Expires: time.Unix(1700000100, 5)},
			"1699999980;1700000100", "2023-11-14T22:15:00.000Z"},
	}
	var s signer.Signer
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fields, err := s.SignForm(conditions, tt.creds, at)
			if err != nil {
				t.Fatal(err)
			}
			policy, err := base64.StdEncoding.DecodeString(fields[0].Value)
			if err != nil {
				t.Fatal(err)
			}
			digest := sha1.Sum(policy)
			want := []signer.FormField{
				{Name: "policy", Value: fields[0].Value},
				{Name: "q-sign-algorithm", Value: "sha1"},
				{Name: "q-ak", Value: tt.creds.SecretID},
				{Name: "q-key-time", Value: tt.keyTime},
				{Name: "q-signature", Value: hexMAC(hexMAC(tt.creds.SecretKey, tt.keyTime), hex.EncodeToString(digest[:]))},
			}
			if tt.creds.Token != "" {
				want = append(want, signer.FormField{Name: "x-cos-security-token", Value: tt.creds.Token})
			}
			if !reflect.DeepEqual(fields, want) {
				t.Errorf("got %q\nwant %q", fields, want)
			}
			checkPolicy(t, policy, conditions, tt.creds.SecretID, tt.keyTime, tt.expiration)
		})
	}
}

func checkPolicy(t *testing.T, policy []byte, conditions []signer.FormField, secretID, keyTime, expiration string) {
	t.Helper()
	var got, want any
	if err := json.Unmarshal(policy, &got); err != nil {
		t.Fatalf("%v in %s", err, policy)
	}
	var list []any
	for _, c := range conditions {
		list = append(list, []any{"eq", "$" + c.Name, c.Value})
	}
	list = append(list, map[string]any{"q-sign-algorithm": "sha1"}, map[string]any{"q-ak": secretID}, map[string]any{"q-sign-time": keyTime})
	want = map[string]any{"expiration": expiration, "conditions": list}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("policy\n%s\nwant\n%v", policy, want)
	}
	if !strings.Contains(string(policy), "<c>&d") {
		t.Errorf("needless escapes in %s", policy)
	}
}

func hexMAC(key, text string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestSignForm_Errors(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000045, 0)
	good := signer.Credentials{SecretID: "AKIDa", SecretKey: "secret-sentinel", Token: "token-sentinel", Expires: at.Add(time.Second)}
	tests := []struct {
		name   string
		change func(c *signer.Credentials, f *signer.FormField)
		want   error
	}{
		{"valid", func(*signer.Credentials, *signer.FormField) {}, nil},
		{"no SecretID", func(c *signer.Credentials, _ *signer.FormField) { c.SecretID = "" }, signer.ErrMissingSecretID},
		{"no SecretKey", func(c *signer.Credentials, _ *signer.FormField) { c.SecretKey = "" }, signer.ErrMissingSecretKey},
		{"expired", func(c *signer.Credentials, _ *signer.FormField) { c.Expires = at }, signer.ErrExpired},
		{"value not UTF-8", func(_ *signer.Credentials, f *signer.FormField) { f.Value = "\xff" }, signer.ErrRequest},
		{"name not UTF-8", func(_ *signer.Credentials, f *signer.FormField) { f.Name = "\xff" }, signer.ErrRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			creds, field := good, signer.FormField{Name: "key", Value: "a"}
			tt.change(&creds, &field)
			fields, err := new(signer.Signer).SignForm([]signer.FormField{field}, creds, at)
			if !errors.Is(err, tt.want) || (err == nil) != (len(fields) > 0) {
				t.Errorf("%d fields, error %v, want %v", len(fields), err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "sentinel") {
				t.Errorf("a secret in %v", err)
			}
		})
	}
}
