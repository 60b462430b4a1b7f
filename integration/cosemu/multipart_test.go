package cosemu_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func initiate(t *testing.T, c *cos.Client, key string) string {
	t.Helper()
	result, _, err := c.Object.InitiateMultipartUpload(t.Context(), key, &cos.InitiateMultipartUploadOptions{
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{ContentType: "text/x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return result.UploadID
}

func uploadPart(t *testing.T, c *cos.Client, key, id string, number int, body []byte) cos.Object {
	t.Helper()
	resp, err := c.Object.UploadPart(t.Context(), key, id, number, bytes.NewReader(body), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cos.Object{PartNumber: number, ETag: resp.Header.Get("ETag")}
}

func TestMultipart_Complete(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	body := pattern(2<<20 + 5)
	id := initiate(t, c, "dir/o")
	uploadPart(t, c, "dir/o", id, 9, []byte("overwritten"))
	parts := []cos.Object{
		uploadPart(t, c, "dir/o", id, 1, body[:1<<20]),
		uploadPart(t, c, "dir/o", id, 3, body[1<<20:2<<20]),
		uploadPart(t, c, "dir/o", id, 9, body[2<<20:]),
	}
	uploadPart(t, c, "dir/o", id, 10, []byte("not completed"))
	if _, ok := srv.Object(bucket1, "dir/o"); ok {
		t.Error("there is an object before Complete")
	}
	result, _, err := c.Object.CompleteMultipartUpload(t.Context(), "dir/o", id, &cos.CompleteMultipartUploadOptions{Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	sums := md5.New()
	for _, p := range [][]byte{body[:1<<20], body[1<<20 : 2<<20], body[2<<20:]} {
		sum := md5.Sum(p)
		sums.Write(sum[:])
	}
	if want := `"` + hex.EncodeToString(sums.Sum(nil)) + `-3"`; result.ETag != want {
		t.Errorf("ETag %s, want %s", result.ETag, want)
	}
	got, resp := get(t, c, "dir/o", nil)
	if got != string(body) || resp.Header.Get("Content-Type") != "text/x" {
		t.Errorf("read back %d bytes, %v", len(got), resp.Header)
	}
	_, err = c.Object.AbortMultipartUpload(t.Context(), "dir/o", id)
	wantCOS(t, err, http.StatusNotFound, "NoSuchUpload")
}

func TestMultipart_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	id := initiate(t, c, "o")
	large := uploadPart(t, c, "o", id, 1, pattern(1<<20))
	small := uploadPart(t, c, "o", id, 2, []byte("small"))
	last := uploadPart(t, c, "o", id, 3, []byte("last"))
	missing := cos.Object{PartNumber: 4, ETag: last.ETag}
	other := cos.Object{PartNumber: 1, ETag: last.ETag}
	tests := []struct {
		name  string
		id    string
		parts []cos.Object
		code  string
	}{
		{"order", id, []cos.Object{last, large}, "InvalidPartOrder"},
		{"twice", id, []cos.Object{large, large}, "InvalidPartOrder"},
		{"missing", id, []cos.Object{large, missing}, "InvalidPart"},
		{"etag", id, []cos.Object{other}, "InvalidPart"},
		{"too small", id, []cos.Object{large, small, last}, "EntityTooSmall"},
		{"no parts", id, nil, "MalformedXML"},
		{"no upload", "none", []cos.Object{large}, "NoSuchUpload"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status := http.StatusBadRequest
			if tt.code == "NoSuchUpload" {
				status = http.StatusNotFound
			}
			_, _, err := c.Object.CompleteMultipartUpload(t.Context(), "o", tt.id, &cos.CompleteMultipartUploadOptions{Parts: tt.parts})
			wantCOS(t, err, status, tt.code)
		})
	}
	// The upload still exists.
	if _, _, err := c.Object.CompleteMultipartUpload(t.Context(), "o", id, &cos.CompleteMultipartUploadOptions{Parts: []cos.Object{large, last}}); err != nil {
		t.Fatal(err)
	}

	client := httpClient(t, srv)
	for target, code := range map[string]string{
		"/o?partNumber=0&uploadId=" + id:     "InvalidArgument",
		"/o?partNumber=10001&uploadId=" + id: "InvalidArgument",
		"/o?partNumber=1&uploadId=none":      "NoSuchUpload",
	} {
		if a := do(t, client, request(t, longLived(srv), http.MethodPut, target, strings.NewReader("x"))); a.code() != code {
			t.Errorf("%s: %d %s", target, a.status, a.code())
		}
	}
}

func TestMultipart_Abort(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	id := initiate(t, c, "o")
	uploadPart(t, c, "o", id, 1, pattern(1<<20))
	_, err := c.Object.AbortMultipartUpload(t.Context(), "other", id)
	wantCOS(t, err, http.StatusNotFound, "NoSuchUpload")
	if _, err := c.Object.AbortMultipartUpload(t.Context(), "o", id); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(os.TempDir(), "cosemu-*", "*")); len(files) != 0 {
		t.Errorf("left: %v", files)
	}
}

func TestMultipart_ListParts(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	id := initiate(t, c, "o")
	for n := 1; n <= 5; n++ {
		uploadPart(t, c, "o", id, n*2, []byte(strings.Repeat("x", n)))
	}
	var numbers []int
	opt := &cos.ObjectListPartsOptions{MaxParts: "2"}
	for {
		page, _, err := c.Object.ListParts(t.Context(), "o", id, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Parts {
			numbers = append(numbers, p.PartNumber)
		}
		if !page.IsTruncated {
			break
		}
		opt.PartNumberMarker = page.NextPartNumberMarker
	}
	if got := fmt.Sprint(numbers); got != "[2 4 6 8 10]" {
		t.Error(got)
	}
	_, _, err := c.Object.ListParts(t.Context(), "o", "none", nil)
	wantCOS(t, err, http.StatusNotFound, "NoSuchUpload")
}

func TestMultipart_ListUploads(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	for _, key := range []string{"a", "b", "b", "b", "dir/c", "dir/d"} {
		initiate(t, c, key)
	}
	for _, tt := range []struct{ prefix, delimiter, want string }{
		{"", "", "a b b b dir/c dir/d"}, {"dir/", "", "dir/c dir/d"}, {"", "/", "a b b b dir/"},
	} {
		for size := 1; size < 8; size++ {
			var keys []string
			opt := &cos.ListMultipartUploadsOptions{MaxUploads: size, Prefix: tt.prefix, Delimiter: tt.delimiter}
			for {
				page, _, err := c.Bucket.ListMultipartUploads(t.Context(), opt)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range page.Uploads {
					keys = append(keys, u.Key)
				}
				keys = append(keys, page.CommonPrefixes...)
				if !page.IsTruncated {
					break
				}
				opt.KeyMarker, opt.UploadIDMarker = page.NextKeyMarker, page.NextUploadIDMarker
			}
			if got := strings.Join(keys, " "); got != tt.want {
				t.Errorf("prefix %q delimiter %q pages of %d: %s", tt.prefix, tt.delimiter, size, got)
			}
		}
	}
}

// TestMultipart_SDKUpload runs the SDK's own multipart upload, from a file and with
// its CRC check.
func TestMultipart_SDKUpload(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	body := pattern(3<<20 + 1)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Object.Upload(t.Context(), "o", file, &cos.MultiUploadOptions{PartSize: 1, ThreadPoolSize: 3}); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, c, "o", nil); got != string(body) {
		t.Errorf("read back %d other bytes", len(got))
	}
}
