package integration_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// TestForm_S3 uploads a form that an S3 SDK has signed with a dummy key, with a small and a
// large file. The emulator verifies the new signature and policy.
func TestForm_S3(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ALLOW_PREFIXES=uploads/*", "COSPROXY_ALLOW_ACTIONS=upload,acl")...)
	for name, size := range map[string]int{"small": 5, "large": 1 << 20} {
		content := bytes.Repeat([]byte("x"), size)
		status, response := postS3Form(t, s, "uploads/"+name, content, 1<<20)
		if status != http.StatusCreated || !strings.Contains(response, "<Key>uploads/"+name+"</Key>") {
			t.Fatalf("%s: %d %s", name, status, response)
		}
		o, _ := emu.Object(bucket, "uploads/"+name)
		if h := o.Header; o.Size != int64(size) || h.Get("Content-Type") != "text/plain" || !strings.Contains(fmt.Sprint(h), "x-cos-meta-a:[1]") || !strings.Contains(fmt.Sprint(h), "x-cos-acl:[public-read]") {
			t.Errorf("%s: stored %d bytes with %v", name, o.Size, o.Header)
		}
	}
	if status, response := postS3Form(t, s, "uploads/b", make([]byte, 200_000), 199_999); status != http.StatusBadRequest || !strings.Contains(response, "EntityTooLarge") {
		t.Errorf("too large: %d %s", status, response)
	}
	if status, response := postS3Form(t, s, "down/a", nil, 1); status != http.StatusForbidden || !strings.Contains(response, "COSPROXY_ALLOW_PREFIXES") {
		t.Errorf("other prefix: %d %s", status, response)
	}
	if got := len(emu.Objects(bucket)); got != 2 {
		t.Errorf("%d objects are stored, want 2", got)
	}
	for _, r := range emu.Requests() {
		if r.Dialect != cosemu.DialectS3 {
			t.Errorf("%s in another dialect", r.Action)
		}
	}
	// Revoked credentials are replaced, before a large form is sent.
	for _, size := range []int{1, 1 << 20} {
		requests := emu.Requests()
		if !emu.Revoke(requests[len(requests)-1].SecretID) {
			t.Fatal("COS does not know the credentials")
		}
		if status, response := postS3Form(t, s, "uploads/revoked", make([]byte, size), 1<<20); status != http.StatusCreated {
			t.Errorf("revoked, %d bytes: %d %s", size, status, response)
		}
	}
}

// postS3Form posts a form in path style, as generate_presigned_post of boto3 makes it.
func postS3Form(t *testing.T, s *sidecar, key string, content []byte, maxSize int) (status int, response string) {
	t.Helper()
	policy := fmt.Sprintf(`{"expiration": %q, "conditions": [{"acl": "public-read"}, ["starts-with", "$Content-Type", "text/"], {"x-amz-meta-a": "1"},
		{"success_action_status": "201"}, ["content-length-range", 0, %d], {"bucket": %q}, {"key": %q},
		{"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-credential": "dummy/20260101/us-east-1/s3/aws4_request"}, {"x-amz-date": "20260101T000000Z"}]}`,
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339), maxSize, bucket, key)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, field := range [][2]string{
		{"acl", "public-read"}, {"Content-Type", "text/plain"}, {"x-amz-meta-a", "1"}, {"success_action_status", "201"}, {"key", key},
		{"x-amz-algorithm", "AWS4-HMAC-SHA256"}, {"x-amz-credential", "dummy/20260101/us-east-1/s3/aws4_request"}, {"x-amz-date", "20260101T000000Z"},
		{"policy", base64.StdEncoding.EncodeToString([]byte(policy))}, {"x-amz-signature", strings.Repeat("0", 64)},
	} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", "a b.txt")
	if err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/"+bucket, &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
