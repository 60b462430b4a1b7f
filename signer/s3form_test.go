package signer_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"cosproxy/signer"
)

// TestS3SignForm_Published checks Amazon's example ("Example: Browser-Based Upload using
// HTTP POST", Amazon S3 API Reference).
func TestS3SignForm_Published(t *testing.T) {
	t.Parallel()
	const policy = `{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}`
	const want = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
	got := signer.S3FormSignature(strings.ReplaceAll(policy, "\n", "\r\n"), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", time.Date(2015, 12, 29, 0, 0, 0, 0, time.UTC))
	if got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// TestS3SignForm verifies the fields with independent code.
func TestS3SignForm(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000045, 0)
	fields := []signer.FormField{
		{Name: "key", Value: `目录/a "b" \ <c>&d` + "\u2028"}, {Name: "x-amz-meta-empty"}, {Name: "Content-Type", Value: "text/plain"},
	}
	var s signer.S3Signer
	for name, tt := range map[string]struct {
		creds      signer.Credentials
		limit      *signer.SizeRange
		expiration string
		conditions string // of the token and the limit
	}{
		"long-lived": {signer.Credentials{SecretID: "AKIDa", SecretKey: "secret a"}, nil, "2023-11-14T23:13:00.000Z", ""},
		"temporary": {signer.Credentials{SecretID: "AKIDb", SecretKey: "secret b", Token: "token b", Expires: time.Unix(1700000100, 5)}, &signer.SizeRange{Min: 1, Max: 1 << 40},
			"2023-11-14T22:15:00.000Z", `,["eq","$x-amz-security-token","token b"],["content-length-range",1,1099511627776]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.SignForm(signer.S3Form{Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Fields: fields, Limit: tt.limit}, tt.creds, at)
			if err != nil {
				t.Fatal(err)
			}
			values := map[string]string{}
			for _, f := range got {
				values[f.Name] = f.Value
			}
			const scope = "20231114/ap-guangzhou/s3/aws4_request"
			want := map[string]string{
				"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": tt.creds.SecretID + "/" + scope, "x-amz-date": "20231114T221405Z", "policy": values["policy"],
			}
			key := []byte("AWS4" + tt.creds.SecretKey)
			for _, part := range append(strings.Split(scope, "/"), values["policy"]) {
				mac := hmac.New(sha256.New, key)
				mac.Write([]byte(part))
				key = mac.Sum(nil)
			}
			want["x-amz-signature"] = hex.EncodeToString(key)
			if tt.creds.Token != "" {
				want["x-amz-security-token"] = tt.creds.Token
			}
			if !reflect.DeepEqual(values, want) || len(got) != len(want) {
				t.Errorf("got %q\nwant %q", got, want)
			}
			checkS3Policy(t, values["policy"], `{"expiration":"`+tt.expiration+`","conditions":[{"bucket":"examplebucket-1250000000"},
				["eq","$key","目录/a \"b\" \\ <c>&d\u2028"],["eq","$x-amz-meta-empty",""],["eq","$Content-Type","text/plain"],["eq","$x-amz-algorithm","AWS4-HMAC-SHA256"],
				["eq","$x-amz-credential","`+tt.creds.SecretID+"/"+scope+`"],["eq","$x-amz-date","20231114T221405Z"]`+tt.conditions+`]}`)
		})
	}
}

func checkS3Policy(t *testing.T, encoded, wantText string) {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if err := json.Unmarshal([]byte(wantText), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) || !strings.Contains(string(text), "<c>&d") {
		t.Errorf("policy\n%s\nwant\n%s", text, wantText)
	}
}

func TestS3SignForm_Errors(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000045, 0)
	tests := []struct {
		name   string
		change func(c *signer.Credentials, f *signer.S3Form)
		want   error
	}{
		{"valid", func(*signer.Credentials, *signer.S3Form) {}, nil},
		{"no SecretID", func(c *signer.Credentials, _ *signer.S3Form) { c.SecretID = "" }, signer.ErrMissingSecretID},
		{"no SecretKey", func(c *signer.Credentials, _ *signer.S3Form) { c.SecretKey = "" }, signer.ErrMissingSecretKey},
		{"expired", func(c *signer.Credentials, _ *signer.S3Form) { c.Expires = at }, signer.ErrExpired},
		{"no bucket", func(_ *signer.Credentials, f *signer.S3Form) { f.Bucket = "" }, signer.ErrRequest},
		{"no region", func(_ *signer.Credentials, f *signer.S3Form) { f.Region = "" }, signer.ErrRequest},
		{"value not UTF-8", func(_ *signer.Credentials, f *signer.S3Form) { f.Fields[0].Value = "\xff" }, signer.ErrRequest},
		{"name not UTF-8", func(_ *signer.Credentials, f *signer.S3Form) { f.Fields[0].Name = "\xff" }, signer.ErrRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			creds := signer.Credentials{SecretID: "AKIDa", SecretKey: "secret-sentinel", Token: "token-sentinel", Expires: at.Add(time.Second)}
			form := signer.S3Form{Bucket: "b", Region: "r", Fields: []signer.FormField{{Name: "key", Value: "a"}}}
			tt.change(&creds, &form)
			fields, err := new(signer.S3Signer).SignForm(form, creds, at)
			if !errors.Is(err, tt.want) || (err == nil) != (len(fields) > 0) {
				t.Errorf("%d fields, error %v, want %v", len(fields), err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "sentinel") {
				t.Errorf("a secret in %v", err)
			}
		})
	}
}
