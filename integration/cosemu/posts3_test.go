package cosemu_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// s3Form is a POST Object form of S3.
type s3Form struct {
	creds      clientCredentials
	at         time.Time
	expiration time.Time
	fields     [][2]string
	conditions []any // in addition to those of the signature
	region     string
	content    string
	unsigned   [][2]string // fields after signing; they replace fields of the same name
}

func newS3Form(creds clientCredentials, at time.Time) s3Form {
	return s3Form{
		creds: creds, at: at, expiration: at.Add(time.Minute), region: region, content: "hello",
		fields:     [][2]string{{"key", "in/${filename}"}, {"acl", "public-read"}, {"x-amz-meta-a", "1"}, {"Content-Type", "text/plain"}},
		conditions: []any{map[string]string{"bucket": bucket1, "acl": "public-read", "x-amz-meta-a": "1"}, []string{"starts-with", "$key", "in/"}, []string{"starts-with", "$Content-Type", "text/"}},
	}
}

func (f s3Form) send(t *testing.T, srv *cosemu.Server) httpResponse {
	t.Helper()
	stamp := f.at.UTC().Format("20060102T150405Z")
	scope := stamp[:8] + "/" + f.region + "/s3/aws4_request"
	signed := map[string]string{"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f.creds.id + "/" + scope, "x-amz-date": stamp}
	if f.creds.token != "" {
		signed["x-amz-security-token"] = f.creds.token
	}
	text, err := json.Marshal(map[string]any{
		"expiration": f.expiration.UTC().Format("2006-01-02T15:04:05.000Z"), "conditions": append([]any{signed}, f.conditions...),
	})
	if err != nil {
		t.Fatal(err)
	}
	policy := base64.StdEncoding.EncodeToString(text)
	key := []byte("AWS4" + f.creds.secretKey)
	for _, part := range append(strings.Split(scope, "/"), policy) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	// The names of fields are not case-sensitive: the AWS SDKs spell them differently.
	fields := slices.Concat(f.fields, [][2]string{{"Policy", policy}, {"X-Amz-Signature", hex.EncodeToString(key)}})
	for name, value := range signed {
		fields = append(fields, [2]string{name, value})
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	replaced := map[string]bool{}
	write := func(name, value string) {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, field := range f.unsigned {
		replaced[field[0]] = true
		if field[1] != "" {
			write(field[0], field[1])
		}
	}
	for _, field := range fields {
		if !replaced[field[0]] {
			write(field[0], field[1])
		}
	}
	part, err := w.CreateFormFile("file", "name.txt")
	if err == nil {
		_, err = io.WriteString(part, f.content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return do(t, httpClient(t, srv), unsigned(t, http.MethodPost, "/", b.String(), "Content-Type: "+w.FormDataContentType()))
}

func TestS3Form_Upload(t *testing.T) {
	srv := start(t, cosemu.Options{StrictSignature: true})
	f := newS3Form(issue(t, srv, policyOf([]string{"name/cos:PostObject"}, []string{resource(bucket1 + "/in/*")})), time.Now())
	const tagging = "<Tagging><TagSet><Tag><Key>t</Key><Value>1</Value></Tag></TagSet></Tagging>"
	f.fields = append(f.fields, [2]string{"tagging", tagging}, [2]string{"success_action_status", "201"}, [2]string{"x-ignore-me", "x"}, [2]string{"x-amz-storage-class", "STANDARD_IA"})
	f.conditions = append(f.conditions, []any{"content-length-range", 1, 5}, []string{"eq", "$tagging", tagging},
		map[string]string{"success_action_status": "201", "x-amz-storage-class": "STANDARD_IA"})
	a := f.send(t, srv)
	if a.status != http.StatusCreated || !strings.Contains(a.body, "<Key>in/name.txt</Key>") || a.header.Get("x-amz-request-id") == "" {
		t.Fatalf("%d %v\n%s", a.status, a.header, a.body)
	}
	_, resp := get(t, sdk(t, srv, bucket1, longLived(srv)), "in/name.txt", nil)
	if h := resp.Header; h.Get("x-cos-meta-a") != "1" || h.Get("x-cos-tagging-count") != "1" || h.Get("x-cos-storage-class") != "STANDARD_IA" || h.Get("Content-Type") != "text/plain" {
		t.Errorf("%v", h)
	}
	if acl := stored(srv, "in/name.txt", "x-cos-acl"); acl != "public-read" {
		t.Errorf("ACL %q", acl)
	}
	if got := srv.Requests()[0]; got.Dialect != cosemu.DialectS3 || got.Action != "PostObject" || got.SecretID != f.creds.id {
		t.Errorf("%+v", got)
	}
}

func TestS3Form_Errors(t *testing.T) {
	now := time.Now()
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	creds := issue(t, srv, policyOf([]string{"name/cos:*"}, []string{resource(bucket1 + "/in/*"), resource(bucket1 + "/out/*")}))
	set := func(fields ...[2]string) func(*s3Form) { return func(f *s3Form) { f.unsigned = fields } }
	condition := func(conditions ...any) func(*s3Form) {
		return func(f *s3Form) { f.conditions = append(f.conditions, conditions...) }
	}
	tests := []struct {
		name   string
		change func(*s3Form)
		status int
		code   string
	}{
		{"valid", func(*s3Form) {}, 204, ""},
		{"condition on the expanded key", condition([]string{"eq", "$key", "in/name.txt"}), 204, ""},
		{"other key", set([2]string{"key", "out/a"}), 403, "AccessDenied"},
		{"other ACL", set([2]string{"acl", "private"}), 403, "AccessDenied"},
		{"no ACL", set([2]string{"acl", ""}), 403, "AccessDenied"},
		{"other metadata", set([2]string{"x-amz-meta-a", "2"}), 403, "AccessDenied"},
		{"field without a condition", set([2]string{"x-amz-meta-b", "2"}), 403, "AccessDenied"},
		{"other Content-Type", set([2]string{"Content-Type", "image/png"}), 403, "AccessDenied"},
		{"other bucket", condition(map[string]string{"bucket": bucket2}), 403, "AccessDenied"},
		{"too long", condition([]any{"content-length-range", 0, 4}), 400, "EntityTooLarge"},
		{"too short", condition([]any{"content-length-range", 6, 9}), 400, "EntityTooSmall"},
		{"unknown condition", condition([]any{"contains", "$key", "a"}), 400, "InvalidPolicyDocument"},
		{"expired", func(f *s3Form) { f.expiration = now }, 403, "AccessDenied"},
		{"signed 8 days ago", func(f *s3Form) { f.at = now.Add(-8 * 24 * time.Hour) }, 403, "AccessDenied"},
		{"signed ahead", func(f *s3Form) { f.at = now.Add(16 * time.Minute) }, 403, "AccessDenied"},
		{"other region", func(f *s3Form) { f.region = "ap-beijing" }, 400, "AuthorizationHeaderMalformed"},
		{"other SecretKey", func(f *s3Form) { f.creds.secretKey = "x" }, 403, "SignatureDoesNotMatch"},
		{"other token", func(f *s3Form) { f.creds.token = "x" }, 400, "InvalidToken"},
		{"unknown SecretId", func(f *s3Form) { f.creds.id = "AKIDx" }, 403, "InvalidAccessKeyId"},
		{"other policy", set([2]string{"Policy", "e30="}), 403, "SignatureDoesNotMatch"},
		{"no policy", set([2]string{"Policy", ""}), 400, "InvalidArgument"},
		{"no date", set([2]string{"x-amz-date", ""}), 400, "InvalidArgument"},
		{"signature of COS too", set([2]string{"q-signature", "x"}), 400, "InvalidArgument"},
		{"version 2", set([2]string{"AWSAccessKeyId", "x"}), 501, "NotImplemented"},
		{"field of COS", set([2]string{"x-cos-meta-a", "1"}), 400, "InvalidArgument"},
		{"field twice", set([2]string{"KEY", "in/b"}), 400, "InvalidArgument"},
		{"key beyond the credentials", func(f *s3Form) {
			f.fields = [][2]string{{"key", "secret/a"}}
			f.conditions = []any{map[string]string{"key": "secret/a"}}
		}, 403, "AccessDenied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newS3Form(creds, now)
			test.change(&f)
			a := f.send(t, srv)
			if a.status != test.status || a.code() != test.code {
				t.Errorf("got %d, want %d %s\n%s", a.status, test.status, test.code, a.body)
			}
		})
	}
	if got := len(srv.Objects(bucket1)); got != 1 {
		t.Errorf("%d objects are stored", got)
	}
}
