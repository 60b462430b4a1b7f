package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// sdkByHTTPProxy returns the official SDK with the URL of the bucket and the sidecar
// as HTTP proxy.
func sdkByHTTPProxy(t *testing.T, s *sidecar) *cos.Client {
	t.Helper()
	return cos.NewClient(&cos.BaseURL{BucketURL: &url.URL{Scheme: "http", Host: cosHost}}, &http.Client{
		Transport: &cos.AuthorizationTransport{SecretID: "dummy-id", SecretKey: "dummy-key", SessionToken: "dummy-token", Transport: proxyTransport(t, s)},
	})
}

// TestGoSDK_BucketURL runs the official SDK with its defaults (CRC check, retries) and
// the sidecar as BucketURL.
func TestGoSDK_BucketURL(t *testing.T) {
	t.Parallel()
	emu, s := startUnrestricted(t)
	goSDK(t, emu, sdkBySidecar(t, s))
}

// TestGoSDK_HTTPProxy runs it with the URL of the bucket and http_proxy.
func TestGoSDK_HTTPProxy(t *testing.T) {
	t.Parallel()
	emu, s := startUnrestricted(t)
	client := sdkByHTTPProxy(t, s)
	goSDK(t, emu, client)

	// The host of the service is not the host of the bucket.
	list, _, err := client.Service.Get(t.Context())
	if err != nil || len(list.Buckets) != 1 || list.Buckets[0].Name != bucket {
		t.Errorf("list of buckets: %+v, %v", list, err)
	}
}

// goSDK makes the calls of a program that uses the SDK.
func goSDK(t *testing.T, emu *cosemu.Server, client *cos.Client) {
	t.Run("object", func(t *testing.T) { goSDKObject(t, client) })
	t.Run("files", func(t *testing.T) { goSDKFiles(t, emu, client) })
	t.Run("list, copy, delete", func(t *testing.T) { goSDKMany(t, client) })
	t.Run("append", func(t *testing.T) { goSDKAppend(t, emu, client) })
	t.Run("sub-resources", func(t *testing.T) { goSDKSubresources(t, client) })
	t.Run("bucket", func(t *testing.T) { goSDKBucket(t, client) })
}

func goSDKObject(t *testing.T, client *cos.Client) {
	const key = "sdk/目录 a+b"
	ctx := t.Context()
	put, err := client.Object.Put(ctx, key, strings.NewReader("hello"), &cos.ObjectPutOptions{
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{
			ContentType: "text/x-test",
			XCosMetaXXX: &http.Header{"X-Cos-Meta-Colour": {"blue"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	head, err := client.Object.Head(ctx, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if head.Header.Get("x-cos-meta-colour") != "blue" || head.Header.Get("Content-Type") != "text/x-test" {
		t.Errorf("metadata lost: %v", head.Header)
	}
	_, err = client.Object.Get(ctx, key, &cos.ObjectGetOptions{
		XOptionHeader: &http.Header{"If-None-Match": {put.Header.Get("ETag")}},
	})
	if resp, ok := cos.IsCOSError(err); !ok || resp.Response.StatusCode != http.StatusNotModified {
		t.Errorf("conditional GET: %v, want 304", err)
	}
	if exists, err := client.Object.IsExist(ctx, key); err != nil || !exists {
		t.Errorf("exists: %t, %v", exists, err)
	}
	if _, err := client.Object.Delete(ctx, key); err != nil {
		t.Error(err)
	}
	if _, err := client.Object.Head(ctx, key, nil); !cos.IsNotFoundError(err) {
		t.Errorf("after delete: %v, want 404", err)
	}
}

// goSDKFiles runs the SDK's high-level calls: upload in parts, download in parts,
// copy.
func goSDKFiles(t *testing.T, emu *cosemu.Server, client *cos.Client) {
	ctx := t.Context()
	body := bytes.Repeat([]byte("multipart!"), 350_000)
	file, down := filepath.Join(t.TempDir(), "large"), filepath.Join(t.TempDir(), "down")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Object.Upload(ctx, "sdk/large", file, &cos.MultiUploadOptions{PartSize: 1, ThreadPoolSize: 3}); err != nil {
		t.Fatal(err)
	}
	if got := readDirect(t, emu, "sdk/large"); !bytes.Equal(got, body) {
		t.Errorf("multipart upload stored %d other bytes, want %d", len(got), len(body))
	}
	if _, err := client.Object.Download(ctx, "sdk/large", down, &cos.MultiDownloadOptions{PartSize: 1, ThreadPoolSize: 3}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(down); err != nil || !bytes.Equal(got, body) {
		t.Errorf("download: %d bytes, %v", len(got), err)
	}
	// As in the examples of the SDK, the source has the host of the client.
	source := client.BaseURL.BucketURL.Host + "/sdk/large"
	if _, _, err := client.Object.MultiCopy(ctx, "sdk/copy +1", source, &cos.MultiCopyOptions{PartSize: 1, ThreadPoolSize: 3}); err != nil {
		t.Fatal(err)
	}
	if got := readDirect(t, emu, "sdk/copy +1"); !bytes.Equal(got, body) {
		t.Errorf("the copy has %d other bytes", len(got))
	}
	goSDKParts(t, emu, client, source)
}

// goSDKParts copies a part into an upload, lists the upload and aborts it.
func goSDKParts(t *testing.T, emu *cosemu.Server, client *cos.Client, source string) {
	ctx := t.Context()
	upload, _, err := client.Object.InitiateMultipartUpload(ctx, "sdk/parts", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Object.CopyPart(ctx, "sdk/parts", upload.UploadID, 1, source, &cos.ObjectCopyPartOptions{XCosCopySourceRange: "bytes=0-9"}); err != nil {
		t.Fatal(err)
	}
	parts, _, err := client.Object.ListParts(ctx, "sdk/parts", upload.UploadID, nil)
	if err != nil || len(parts.Parts) != 1 || parts.Parts[0].Size != 10 {
		t.Errorf("parts: %+v, %v", parts, err)
	}
	uploads, _, err := client.Bucket.ListMultipartUploads(ctx, &cos.ListMultipartUploadsOptions{Prefix: "sdk/"})
	if err != nil || len(uploads.Uploads) != 1 || uploads.Uploads[0].UploadID != upload.UploadID {
		t.Errorf("uploads: %+v, %v", uploads, err)
	}
	if _, err := client.Object.AbortMultipartUpload(ctx, "sdk/parts", upload.UploadID); err != nil {
		t.Error(err)
	}
	if _, exists := emu.Object(bucket, "sdk/parts"); exists {
		t.Error("an aborted upload became an object")
	}
}

func goSDKMany(t *testing.T, client *cos.Client) {
	ctx := t.Context()
	for i := range 5 {
		if _, err := client.Object.Put(ctx, fmt.Sprintf("many/%d+ %d", i, i), strings.NewReader("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range []string{cosHost, client.BaseURL.BucketURL.Host} {
		if _, _, err := client.Object.Copy(ctx, "many/copy", host+"/many/0+ 0", nil); err != nil {
			t.Fatalf("copy from %s: %v", host, err)
		}
	}
	var keys []cos.Object
	opt := &cos.BucketGetOptions{Prefix: "many/", MaxKeys: 2, EncodingType: "url"}
	for {
		page, _, err := client.Bucket.Get(ctx, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			key, err := cos.DecodeURIComponent(o.Key)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, cos.Object{Key: key})
		}
		if !page.IsTruncated {
			break
		}
		if opt.Marker, err = cos.DecodeURIComponent(page.NextMarker); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 6 {
		t.Fatalf("listed %v, want 6 keys", keys)
	}
	deleted, _, err := client.Object.DeleteMulti(ctx, &cos.ObjectDeleteMultiOptions{Objects: keys})
	if err != nil || len(deleted.DeletedObjects) != 6 {
		t.Errorf("delete multiple: %+v, %v", deleted, err)
	}
}

func goSDKAppend(t *testing.T, emu *cosemu.Server, client *cos.Client) {
	position, whole := 0, ""
	for _, piece := range []string{"small, ", strings.Repeat("large", 30_000), ", small"} {
		next, _, err := client.Object.Append(t.Context(), "sdk/log", position, strings.NewReader(piece), nil)
		if err != nil {
			t.Fatal(err)
		}
		position, whole = next, whole+piece
	}
	if got := readDirect(t, emu, "sdk/log"); string(got) != whole {
		t.Errorf("COS holds %d bytes, want %d", len(got), len(whole))
	}
}

func goSDKSubresources(t *testing.T, client *cos.Client) {
	ctx := t.Context()
	const key = "sdk/table.csv"
	if _, err := client.Object.Put(ctx, key, strings.NewReader("a,1\nb,2\n"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Object.PutTagging(ctx, key, &cos.ObjectPutTaggingOptions{TagSet: []cos.ObjectTaggingTag{{Key: "k", Value: "v"}}}); err != nil {
		t.Error(err)
	}
	if tags, _, err := client.Object.GetTagging(ctx, key); err != nil || len(tags.TagSet) != 1 || tags.TagSet[0].Value != "v" {
		t.Errorf("tags: %+v, %v", tags, err)
	}
	if _, err := client.Object.DeleteTagging(ctx, key); err != nil {
		t.Error(err)
	}
	if _, err := client.Object.PutACL(ctx, key, &cos.ObjectPutACLOptions{Header: &cos.ACLHeaderOptions{XCosACL: "public-read"}}); err != nil {
		t.Error(err)
	}
	if acl, _, err := client.Object.GetACL(ctx, key); err != nil || len(acl.AccessControlList) != 2 {
		t.Errorf("ACL: %+v, %v", acl, err)
	}
	rows, err := client.Object.Select(ctx, key, &cos.ObjectSelectOptions{
		Expression: "SELECT * FROM COSObject LIMIT 1", ExpressionType: "SQL",
		InputSerialization:  &cos.SelectInputSerialization{CSV: &cos.CSVInputSerialization{}},
		OutputSerialization: &cos.SelectOutputSerialization{CSV: &cos.CSVOutputSerialization{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if got, err := io.ReadAll(rows); err != nil || string(got) != "a,1\n" {
		t.Errorf("select: %q, %v", got, err)
	}
	if _, err := client.Object.Put(ctx, "sdk/cold", strings.NewReader("x"), &cos.ObjectPutOptions{
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{XCosStorageClass: "ARCHIVE"},
	}); err != nil {
		t.Fatal(err)
	}
	if resp, err := client.Object.PostRestore(ctx, "sdk/cold", &cos.ObjectRestoreOptions{Days: 1}); err != nil || resp.StatusCode != http.StatusAccepted {
		t.Errorf("restore: %v, %v", resp, err)
	}
}

func goSDKBucket(t *testing.T, client *cos.Client) {
	ctx := t.Context()
	if exists, err := client.Bucket.IsExist(ctx); err != nil || !exists {
		t.Errorf("HEAD of the bucket: %t, %v", exists, err)
	}
	if _, _, err := client.Bucket.GetACL(ctx); err != nil {
		t.Error(err)
	}
	if _, err := client.Object.Put(ctx, "versions/a", strings.NewReader("x"), nil); err != nil {
		t.Fatal(err)
	}
	versions, _, err := client.Bucket.GetObjectVersions(ctx, &cos.BucketGetObjectVersionsOptions{Prefix: "versions/"})
	if err != nil || len(versions.Version) != 1 {
		t.Errorf("versions: %+v, %v", versions, err)
	}
}

// TestPresignedURL_DummyCredentials checks that URLs presigned with dummy credentials
// work, with the address of the sidecar and through http_proxy.
func TestPresignedURL_DummyCredentials(t *testing.T) {
	t.Parallel()
	emu, s := startUnrestricted(t)
	ways := []struct {
		sdk    *cos.Client
		client *http.Client
	}{
		{sdkBySidecar(t, s), client},
		{sdkByHTTPProxy(t, s), &http.Client{Transport: proxyTransport(t, s)}},
	}
	header := &http.Header{"X-Cos-Meta-A": {"1"}}
	stored := "x-cos-meta-a" // as the emulator stores it
	options := map[string]*cos.PresignedURLOptions{
		"plain":      {},
		"parameters": {Query: &url.Values{"response-content-type": {"text/x y"}}},
		"headers":    {Header: header},
		"token":      {Query: &url.Values{"x-cos-security-token": {"dummy token"}}},
		"in one":     {SignMerged: true},
	}
	for i, way := range ways {
		for name, opt := range options {
			body := fmt.Sprintf("%s %d", name, i)
			send := func(method string, want int) string {
				t.Helper()
				u, err := way.sdk.Object.GetPresignedURL(t.Context(), method, "presigned/"+name, "dummy-id", "dummy-key", time.Hour, opt)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(u.RawQuery, "dummy-id") {
					t.Fatalf("%s is not signed", u)
				}
				req, err := http.NewRequestWithContext(t.Context(), method, u.String(), http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				if method == http.MethodPut {
					req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
				}
				if opt.Header != nil {
					req.Header = opt.Header.Clone()
				}
				resp, err := way.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != want {
					t.Errorf("%s %s: %d %s, %v", method, name, resp.StatusCode, got, err)
				}
				if opt.Query != nil && method == http.MethodGet && opt.Query.Has("response-content-type") && resp.Header.Get("Content-Type") != "text/x y" {
					t.Errorf("response-content-type was lost: %v", resp.Header)
				}
				return string(got)
			}
			send(http.MethodPut, http.StatusOK)
			if got := send(http.MethodGet, http.StatusOK); got != body || string(readDirect(t, emu, "presigned/"+name)) != body {
				t.Errorf("%s: read back %q", name, got)
			}
			if o, _ := emu.Object(bucket, "presigned/"+name); opt.Header != nil && o.Header[stored] == nil {
				t.Errorf("the signed header was lost: %v", o.Header)
			}
		}
	}
	for _, r := range emu.Requests() {
		if strings.Contains(r.URI, "dummy") || strings.Contains(r.URI, "q-") || strings.Contains(r.URI, "sign=") || strings.Contains(fmt.Sprint(r.Header), "dummy") {
			t.Errorf("a part of the client's signature reached COS: %s %v", r.URI, r.Header)
		}
	}
}
