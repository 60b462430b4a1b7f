package s3clients_test

import (
	"bytes"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
)

// maxPostSize is the limit of the file in the policies of the forms.
const maxPostSize = 100

// postForms are forms of which only the first one fulfills its policy. Each changes the
// fields that a client has signed, and sends a file.
var postForms = []struct {
	name   string
	change func(fields map[string]string)
	file   string
	status int
	code   string // empty: stored
}{
	{"valid", func(map[string]string) {}, "body", http.StatusCreated, ""},
	{"empty file", func(map[string]string) {}, "", http.StatusBadRequest, "EntityTooSmall"},
	{"large file", func(map[string]string) {}, strings.Repeat("x", maxPostSize+1), http.StatusBadRequest, "EntityTooLarge"},
	{"file larger than the buffer", func(map[string]string) {}, strings.Repeat("x", 1<<20), http.StatusBadRequest, "EntityTooLarge"},
	{"other key", func(f map[string]string) { f["key"] = "other" }, "body", http.StatusForbidden, "AccessDenied"},
	{"other type", func(f map[string]string) { f["Content-Type"] = "image/png" }, "body", http.StatusForbidden, "AccessDenied"},
	{"other metadata", func(f map[string]string) { f["x-amz-meta-color"] = "red" }, "body", http.StatusForbidden, "AccessDenied"},
	{"missing metadata", func(f map[string]string) { delete(f, "x-amz-meta-color") }, "body", http.StatusForbidden, "AccessDenied"},
	{"further field", func(f map[string]string) { f["acl"] = "public-read" }, "body", http.StatusForbidden, "AccessDenied"},
	{"COS field", func(f map[string]string) { f["x-cos-meta-color"] = "blue" }, "body", http.StatusBadRequest, "InvalidRequest"},
}

// checkPostForms sends every form of postForms. sign returns the URL and the fields of a
// form for an object of 1 to maxPostSize bytes with a text as content type and the color blue.
func checkPostForms(t *testing.T, s *sidecar, sign func(key string) (url string, fields map[string]string)) {
	t.Helper()
	plain := s.client(t)
	for _, test := range postForms {
		key := "posted a+b/中文 " + test.name
		target, fields := sign(key)
		fields = maps.Clone(fields)
		test.change(fields)
		status, text := postForm(t, plain, target, fields, test.file)
		if status != test.status || !strings.Contains(text, "<Code>"+test.code+"</Code>") && test.code != "" {
			t.Errorf("%s: %d %s", test.name, status, text)
		}
		o, known := s.emu.Object(bucket, key)
		if _, other := s.emu.Object(bucket, "other"); other || known != (test.code == "") {
			t.Errorf("%s: stored %t, under another key %t", test.name, known, other)
		}
		if !known {
			continue
		}
		if o.Size != int64(len(test.file)) || !slices.Equal(stored(o, "x-cos-meta-color"), []string{"blue"}) || o.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s: %d bytes with %v", test.name, o.Size, o.Header)
		}
	}
}

// postForm sends a form, with its file last.
func postForm(t *testing.T, c *http.Client, target string, fields map[string]string, file string) (status int, text string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile("file", "a b.txt")
	if err == nil {
		_, err = part.Write([]byte(file))
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return send(t, c, http.MethodPost, target, http.Header{"Content-Type": {form.FormDataContentType()}}, body.String())
}

func TestSidecar_GoSDKPresignedPost(t *testing.T) {
	byStyles(t, func(t *testing.T, s *sidecar, c *s3.Client) {
		presign := s3.NewPresignClient(c)
		sign := func(expires time.Duration) func(key string) (string, map[string]string) {
			return func(key string) (string, map[string]string) {
				t.Helper()
				form, err := presign.PresignPostObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}, func(o *s3.PresignPostOptions) {
					o.Expires = expires
					o.Conditions = []any{
						[]any{"content-length-range", 1, maxPostSize}, []any{"starts-with", "$Content-Type", "text/"},
						map[string]string{"x-amz-meta-color": "blue"}, map[string]string{"success_action_status": "201"},
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				maps.Copy(form.Values, map[string]string{"Content-Type": "text/plain", "x-amz-meta-color": "blue", "success_action_status": "201"})
				return form.URL, form.Values
			}
		}
		checkPostForms(t, s, sign(time.Minute))
		target, fields := sign(-time.Second)("expired")
		status, text := postForm(t, s.client(t), target, fields, "body")
		if _, known := s.emu.Object(bucket, "expired"); known || status != http.StatusForbidden || !strings.Contains(text, "<Code>AccessDenied</Code>") {
			t.Errorf("expired: stored %t, %d %s", known, status, text)
		}
	})
}

func TestSidecar_MinIOPresignedPost(t *testing.T) {
	byMinIO(t, func(t *testing.T, s *sidecar, c *minio.Client) {
		checkPostForms(t, s, func(key string) (string, map[string]string) {
			t.Helper()
			p := minio.NewPostPolicy()
			for _, err := range []error{
				p.SetBucket(bucket), p.SetKey(key), p.SetExpires(time.Now().Add(time.Minute)), p.SetContentTypeStartsWith("text/"),
				p.SetContentLengthRange(1, maxPostSize), p.SetUserMetadata("color", "blue"), p.SetSuccessStatusAction("201"),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			target, fields, err := c.PresignedPostPolicy(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			fields["Content-Type"] = "text/plain" // minio-go puts the prefix there
			return target.String(), fields
		})
	})
}
