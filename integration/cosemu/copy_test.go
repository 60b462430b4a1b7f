package cosemu_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func TestCopy_Object(t *testing.T) {
	srv := start(t, cosemu.Options{})
	from, to := sdk(t, srv, bucket1, longLived(srv)), sdk(t, srv, bucket2, longLived(srv))
	source := host1 + "/src a+b%2F"
	if _, err := from.Object.Put(t.Context(), "src a+b%2F", strings.NewReader("body"), &cos.ObjectPutOptions{
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{ContentType: "text/x", XCosMetaXXX: &http.Header{"X-Cos-Meta-A": {"1"}}},
	}); err != nil {
		t.Fatal(err)
	}
	result, _, err := to.Object.Copy(t.Context(), "kept", source, nil)
	if err != nil || result.ETag != `"841a2d689ad86bd1611447453c22c6fc"` {
		t.Fatalf("%+v, %v", result, err)
	}
	body, resp := get(t, to, "kept", nil)
	if body != "body" || resp.Header.Get("Content-Type") != "text/x" || resp.Header.Get("x-cos-meta-a") != "1" {
		t.Errorf("%q %v", body, resp.Header)
	}
	if _, _, err := to.Object.Copy(t.Context(), "replaced", source, &cos.ObjectCopyOptions{ObjectCopyHeaderOptions: &cos.ObjectCopyHeaderOptions{
		XCosMetadataDirective: "Replaced", ContentType: "text/y",
	}}); err != nil {
		t.Fatal(err)
	}
	if _, resp := get(t, to, "replaced", nil); resp.Header.Get("Content-Type") != "text/y" || resp.Header.Get("x-cos-meta-a") != "" {
		t.Errorf("%v", resp.Header)
	}
}

func TestCopy_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "src", "body")
	etag := headOf(t, c, "src").Get("ETag")
	later := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	tests := []struct {
		source string
		opt    cos.ObjectCopyHeaderOptions
		status int
		code   string
	}{
		{host1 + "/none", cos.ObjectCopyHeaderOptions{}, 404, "NoSuchKey"},
		{strings.Replace(host1, bucket1, "no-1250000000", 1) + "/src", cos.ObjectCopyHeaderOptions{}, 404, "NoSuchBucket"},
		{host1 + "/src", cos.ObjectCopyHeaderOptions{XCosMetadataDirective: "Mix"}, 400, "InvalidArgument"},
		{host1 + "/src", cos.ObjectCopyHeaderOptions{XCosCopySourceIfMatch: `"x"`}, 412, "PreconditionFailed"},
		{host1 + "/src", cos.ObjectCopyHeaderOptions{XCosCopySourceIfNoneMatch: etag}, 412, "PreconditionFailed"},
		{host1 + "/src", cos.ObjectCopyHeaderOptions{XCosCopySourceIfModifiedSince: later}, 412, "PreconditionFailed"},
	}
	for _, tt := range tests {
		_, _, err := c.Object.Copy(t.Context(), "dst", tt.source, &cos.ObjectCopyOptions{ObjectCopyHeaderOptions: &tt.opt})
		wantCOS(t, err, tt.status, tt.code)
	}
	a := do(t, httpClient(t, srv), request(t, longLived(srv), http.MethodPut, "/dst", nil, "x-cos-copy-source: "+host1, "Content-Length: 0"))
	if a.code() != "InvalidArgument" {
		t.Errorf("source without an object key: %d %s", a.status, a.code())
	}
}

// TestCopy_SourceNotAllowed checks that credentials for writing cannot read through a
// copy.
func TestCopy_SourceNotAllowed(t *testing.T) {
	srv := start(t, cosemu.Options{})
	put(t, sdk(t, srv, bucket1, longLived(srv)), "secret", "body")
	write := policyOf([]string{"name/cos:PutObject"}, []string{resource(bucket2 + "/*")})
	_, _, err := sdk(t, srv, bucket2, issue(t, srv, write)).Object.Copy(t.Context(), "dst", host1+"/secret", nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")

	write.Statement = append(write.Statement, policyOf([]string{"name/cos:GetObject"}, []string{resource(bucket1 + "/secret")}).Statement...)
	if _, _, err := sdk(t, srv, bucket2, issue(t, srv, write)).Object.Copy(t.Context(), "dst", host1+"/secret", nil); err != nil {
		t.Error(err)
	}
}

func TestCopy_Part(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	body := pattern(2 << 20)
	put(t, c, "src", string(body))
	id := initiate(t, c, "dst")
	one, _, err := c.Object.CopyPart(t.Context(), "dst", id, 1, host1+"/src", nil)
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := c.Object.CopyPart(t.Context(), "dst", id, 2, host1+"/src", &cos.ObjectCopyPartOptions{XCosCopySourceRange: "bytes=10-19"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.Object.CopyPart(t.Context(), "dst", id, 2, host1+"/src", &cos.ObjectCopyPartOptions{XCosCopySourceRange: "10-19"})
	wantCOS(t, err, http.StatusBadRequest, "InvalidArgument")
	if _, _, err := c.Object.CompleteMultipartUpload(t.Context(), "dst", id, &cos.CompleteMultipartUploadOptions{
		Parts: []cos.Object{{PartNumber: 1, ETag: one.ETag}, {PartNumber: 2, ETag: two.ETag}},
	}); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, c, "dst", nil); got != string(body)+string(body[10:20]) {
		t.Errorf("read back %d other bytes", len(got))
	}
}
