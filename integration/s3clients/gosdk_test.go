package s3clients_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"cosproxy/integration/cosemu"
)

func put(t *testing.T, c *s3.Client, key, body string, change ...func(*s3.PutObjectInput)) *s3.PutObjectOutput {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(body)}
	for _, f := range change {
		f(in)
	}
	out, err := c.PutObject(t.Context(), in)
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return out
}

func get(t *testing.T, c *s3.Client, key string, change ...func(*s3.GetObjectInput)) (string, *s3.GetObjectOutput) {
	t.Helper()
	in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}
	for _, f := range change {
		f(in)
	}
	out, err := c.GetObject(t.Context(), in)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), out
}

// trickyKeys are keys whose encoding differs between clients and services.
var trickyKeys = []string{
	"plain", "a b", "a+b", "a%2Fb", "a//b", "dir/", "中文/ü", "~*'()!$&,;=:@", "a?b#c", "%", "..a/.b", `"<>\^{|}`, "a/../b", "tail ",
}

func TestGoSDK_Objects(t *testing.T) {
	emu := startEmulator(t)
	c := client(t, emu)
	for _, key := range trickyKeys {
		stored := put(t, c, key, "body of "+key)
		body, out := get(t, c, key)
		if body != "body of "+key || aws.ToString(out.ETag) != aws.ToString(stored.ETag) {
			t.Errorf("%q: got %q, %s", key, body, aws.ToString(out.ETag))
		}
		if _, known := emu.Object(bucket, key); !known {
			t.Errorf("%q is stored under another key", key)
		}
	}
	put(t, c, "empty", "")
	if body, out := get(t, c, "empty"); body != "" || aws.ToInt64(out.ContentLength) != 0 {
		t.Errorf("the empty object has %q", body)
	}
	put(t, c, "digits", "0123456789")
	body, out := get(t, c, "digits", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=2-4") })
	if body != "234" || aws.ToString(out.ContentRange) != "bytes 2-4/10" {
		t.Errorf("range: %q %s", body, aws.ToString(out.ContentRange))
	}
	_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")})
	wantError(t, err, 404, "NoSuchKey")
	_, err = c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")})
	wantError(t, err, 404, "NotFound")
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("digits")}); err != nil {
		t.Error(err)
	}
	_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("missing-1250000000"), Key: aws.String("a")})
	wantError(t, err, 404, "NoSuchBucket")
	for _, r := range emu.Requests() {
		if r.Dialect != cosemu.DialectS3 || r.SecretID != emu.SecretID() {
			t.Errorf("%s %s has the dialect %q, SecretId %q", r.Method, r.URI, r.Dialect, r.SecretID)
		}
	}
}

func TestGoSDK_Metadata(t *testing.T) {
	c := client(t, startEmulator(t))
	put(t, c, "o", "body", func(in *s3.PutObjectInput) {
		in.Metadata = map[string]string{"color": "deep blue", "n": "1"}
		in.StorageClass, in.Tagging = types.StorageClassStandardIa, aws.String("a=1&b=x%20y")
		in.ContentType, in.CacheControl, in.ContentEncoding = aws.String("text/plain"), aws.String("no-store"), aws.String("gzip")
		in.ACL = types.ObjectCannedACLPublicRead
	})
	check := func(key, color string, tags int) {
		t.Helper()
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
		if err != nil {
			t.Fatal(err)
		}
		if head.Metadata["color"] != color || aws.ToInt64(head.ContentLength) != 4 {
			t.Errorf("%s: metadata %v, length %d", key, head.Metadata, aws.ToInt64(head.ContentLength))
		}
		list, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String(key)})
		if err != nil || len(list.TagSet) != tags {
			t.Errorf("%s: tags %v, %v", key, list, err)
		}
	}
	check("o", "deep blue", 2)
	_, out := get(t, c, "o")
	if out.StorageClass != types.StorageClassStandardIa || aws.ToString(out.ContentType) != "text/plain" ||
		aws.ToString(out.ContentEncoding) != "gzip" || aws.ToInt32(out.TagCount) != 2 {
		t.Errorf("%s %s %s %d tags", out.StorageClass, aws.ToString(out.ContentType), aws.ToString(out.ContentEncoding), aws.ToInt32(out.TagCount))
	}
	acl, err := c.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: aws.String(bucket), Key: aws.String("o")})
	if err != nil || len(acl.Grants) != 2 || acl.Grants[1].Grantee.Type != types.TypeGroup ||
		aws.ToString(acl.Grants[1].Grantee.URI) != "http://acs.amazonaws.com/groups/global/AllUsers" {
		t.Errorf("ACL %+v, %v", acl, err)
	}
	tagging := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("c"), Value: aws.String("3")}}}
	if _, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: aws.String(bucket), Key: aws.String("o"), Tagging: tagging,
	}); err != nil {
		t.Fatal(err)
	}
	check("o", "deep blue", 1)
	source := aws.String(bucket + "/" + url.PathEscape("o"))
	if _, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy"), CopySource: source}); err != nil {
		t.Fatal(err)
	}
	check("copy", "deep blue", 1)
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("replaced"), CopySource: source,
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"color": "red"},
		TaggingDirective: types.TaggingDirectiveReplace, Tagging: aws.String("x=1&y=2&z=3"),
	})
	if err != nil {
		t.Fatal(err)
	}
	check("replaced", "red", 3)
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("c"), CopySource: source, CopySourceIfMatch: aws.String(`"other"`),
	})
	wantError(t, err, 412, "PreconditionFailed")
}

func TestGoSDK_Multipart(t *testing.T) {
	c := client(t, startEmulator(t))
	key := aws.String("dir/large object")
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: key, Metadata: map[string]string{"a": "1"}, Tagging: aws.String("t=1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	part := strings.Repeat("0123456789abcdef", 5<<16)
	put(t, c, "source", part)
	var parts []types.CompletedPart
	for n := int32(1); n <= 3; n++ {
		var etag *string
		if n == 2 {
			out, err := c.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
				Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(n),
				CopySource: aws.String("/" + bucket + "/source"), CopySourceRange: aws.String(fmt.Sprintf("bytes=0-%d", len(part)-1)),
			})
			if err != nil {
				t.Fatal(err)
			}
			etag = out.CopyPartResult.ETag
		} else {
			out, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
				Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(n), Body: strings.NewReader(part),
			})
			if err != nil {
				t.Fatal(err)
			}
			etag = out.ETag
		}
		// COS ignores the checksum in the list.
		parts = append(parts, types.CompletedPart{ETag: etag, PartNumber: aws.Int32(n), ChecksumCRC32: aws.String("AAAAAA==")})
	}
	uploads, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(bucket), Delimiter: aws.String("/")})
	if err != nil || len(uploads.CommonPrefixes) != 1 {
		t.Errorf("uploads %+v, %v", uploads, err)
	}
	listed, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId})
	if err != nil || len(listed.Parts) != 3 {
		t.Errorf("parts %+v, %v", listed, err)
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, out := get(t, c, *key)
	if body != strings.Repeat(part, 3) || out.Metadata["a"] != "1" || aws.ToInt32(out.TagCount) != 1 {
		t.Errorf("%d bytes, metadata %v, %d tags", len(body), out.Metadata, aws.ToInt32(out.TagCount))
	}
	aborted, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: key, UploadId: aborted.UploadId}); err != nil {
		t.Error(err)
	}
}

func TestGoSDK_Listings(t *testing.T) {
	emu := startEmulator(t)
	c := client(t, emu)
	const count = 2500
	want := make([]string, count)
	for i := range want {
		want[i] = fmt.Sprintf("dir %d/key+%04d", i%3, i)
		put(t, c, want[i], "")
	}
	slices.Sort(want)
	list2 := func(in *s3.ListObjectsV2Input) (keys, prefixes []string) {
		t.Helper()
		in.Bucket = aws.String(bucket)
		for pages := s3.NewListObjectsV2Paginator(c, in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if int(aws.ToInt32(page.KeyCount)) != len(page.Contents)+len(page.CommonPrefixes) {
				t.Errorf("KeyCount %d", aws.ToInt32(page.KeyCount))
			}
			for _, o := range page.Contents {
				if (o.Owner != nil) != aws.ToBool(in.FetchOwner) {
					t.Errorf("owner %v", o.Owner)
				}
				keys = append(keys, aws.ToString(o.Key))
			}
			for _, p := range page.CommonPrefixes {
				prefixes = append(prefixes, aws.ToString(p.Prefix))
			}
		}
		return keys, prefixes
	}
	if keys, _ := list2(&s3.ListObjectsV2Input{}); !slices.Equal(keys, want) {
		t.Errorf("V2 lists %d keys", len(keys))
	}
	if keys, _ := list2(&s3.ListObjectsV2Input{StartAfter: aws.String(want[9]), MaxKeys: aws.Int32(700), FetchOwner: aws.Bool(true)}); !slices.Equal(keys, want[10:]) {
		t.Errorf("V2 after a key lists %d keys", len(keys))
	}
	if keys, prefixes := list2(&s3.ListObjectsV2Input{Delimiter: aws.String("/"), MaxKeys: aws.Int32(2)}); len(keys) != 0 || !slices.Equal(prefixes, []string{"dir 0/", "dir 1/", "dir 2/"}) {
		t.Errorf("V2 by prefix: %d keys, %q", len(keys), prefixes)
	}
	var keys []string
	for marker := aws.String(""); marker != nil; {
		page, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{
			Bucket: aws.String(bucket), Prefix: aws.String("dir 1/"), Marker: marker, MaxKeys: aws.Int32(400), EncodingType: types.EncodingTypeUrl,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			key, err := url.PathUnescape(aws.ToString(o.Key))
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		if marker = page.NextMarker; marker != nil {
			text, err := url.PathUnescape(*marker)
			if err != nil {
				t.Fatal(err)
			}
			marker = &text
		}
	}
	inside := slices.DeleteFunc(slices.Clone(want), func(key string) bool { return !strings.HasPrefix(key, "dir 1/") })
	if !slices.Equal(keys, inside) {
		t.Errorf("V1 lists %d keys, want %d", len(keys), len(inside))
	}
	_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), ContinuationToken: aws.String("!")})
	wantError(t, err, 400, "InvalidArgument")
	for _, r := range emu.Requests() {
		if r.Method == http.MethodGet && r.Action != "GetBucket" {
			t.Errorf("%s is %s", r.URI, r.Action)
		}
	}
}

func TestGoSDK_Buckets(t *testing.T) {
	c := client(t, startEmulator(t))
	all, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil || len(all.Buckets) != 2 || aws.ToString(all.Buckets[0].Name) != bucket {
		t.Errorf("%+v, %v", all, err)
	}
	if head, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)}); err != nil || aws.ToString(head.BucketRegion) != region {
		t.Errorf("%+v, %v", head, err)
	}
	if l, err := c.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: aws.String(bucket)}); err != nil || string(l.LocationConstraint) != region {
		t.Errorf("%+v, %v", l, err)
	}
	if v, err := c.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: aws.String(bucket)}); err != nil || v.Status != "" {
		t.Errorf("%+v, %v", v, err)
	}
	acl, err := c.GetBucketAcl(t.Context(), &s3.GetBucketAclInput{Bucket: aws.String(bucket)})
	if err != nil || len(acl.Grants) != 1 || acl.Grants[0].Grantee.Type != types.TypeCanonicalUser {
		t.Errorf("%+v, %v", acl, err)
	}
	versions, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(bucket)})
	if err != nil || len(versions.Versions) != 0 {
		t.Errorf("%+v, %v", versions, err)
	}
	_, err = c.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{
		Bucket: aws.String(bucket), Key: aws.String("a"), ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag},
	})
	wantError(t, err, 501, "NotImplemented")
	path := client(t, startEmulator(t), func(o *s3.Options) { o.UsePathStyle = true })
	_, err = path.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	wantError(t, err, 403, "PathStyleDomainForbidden")
}

func TestGoSDK_DeleteObjects(t *testing.T) {
	emu := startEmulator(t)
	c := client(t, emu)
	var objects []types.ObjectIdentifier
	for _, key := range trickyKeys {
		put(t, c, key, "x")
		objects = append(objects, types.ObjectIdentifier{Key: aws.String(key)})
	}
	in := &s3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: objects}}
	// The SDK sends x-amz-checksum-crc32 here and no Content-MD5.
	_, err := c.DeleteObjects(t.Context(), in)
	wantError(t, err, 400, "InvalidRequest")
	if got := emu.Objects(bucket); len(got) != len(trickyKeys) {
		t.Fatalf("%d objects are left", len(got))
	}
	out, err := c.DeleteObjects(t.Context(), in, s3.WithAPIOptions(smithyhttp.AddContentChecksumMiddleware))
	if err != nil || len(out.Deleted) != len(trickyKeys) || len(emu.Objects(bucket)) != 0 {
		t.Errorf("%+v, %v; left: %v", out, err, emu.Objects(bucket))
	}
}

// TestGoSDK_DefaultChecksums shows what the SDK sends with the default of its
// configuration: a checksum in a header over http, which COS ignores, and one in a trailer over
// https, which it refuses.
func TestGoSDK_DefaultChecksums(t *testing.T) {
	emu := startEmulator(t)
	upload := func(scheme string) error {
		c := client(t, emu, func(o *s3.Options) {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
			o.BaseEndpoint = aws.String(scheme + "://cos." + region + ".myqcloud.com")
			o.HTTPClient = plainText{dial(t, emu.COSAddr())}
		})
		out, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(scheme), Body: strings.NewReader("body")})
		if err == nil && out.ChecksumCRC32 != nil {
			t.Error("the response has a checksum")
		}
		return err
	}
	if err := upload("http"); err != nil {
		t.Error(err)
	}
	if header := emu.Requests()[0].Header; header.Get("x-amz-checksum-crc32") == "" {
		t.Errorf("the SDK sends no checksum: %v", header)
	}
	err := upload("https")
	wantError(t, err, 400, "NotImplemented")
	if !strings.Contains(err.Error(), "STREAMING-UNSIGNED-PAYLOAD-TRAILER") || len(emu.Objects(bucket)) != 1 {
		t.Errorf("%v; stored: %v", err, emu.Objects(bucket))
	}
}

// plainText sends requests for https over HTTP.
type plainText struct{ *http.Client }

// Do implements s3.HTTPClient.
func (c plainText) Do(r *http.Request) (*http.Response, error) {
	r.URL.Scheme = "http"
	return c.Client.Do(r)
}

func TestGoSDK_Presigned(t *testing.T) {
	emu := startEmulator(t)
	plain := dial(t, emu.COSAddr())
	presign := s3.NewPresignClient(client(t, emu), func(o *s3.PresignOptions) { o.Expires = time.Minute })
	for _, key := range trickyKeys {
		in, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(key), Metadata: map[string]string{"a": "1"},
			StorageClass: types.StorageClassStandardIa,
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, text := send(t, plain, in.Method, in.URL, in.SignedHeader, "body"); status != 200 {
			t.Fatalf("PUT %q: %d %s", key, status, text)
		}
		out, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(key), ResponseContentType: aws.String("text/x"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, text := send(t, plain, out.Method, out.URL, out.SignedHeader, ""); status != 200 || text != "body" {
			t.Fatalf("GET %q: %d %s", key, status, text)
		}
		o, _ := emu.Object(bucket, key)
		for name, want := range map[string]string{"x-cos-meta-a": "1", "x-cos-storage-class": "STANDARD_IA"} {
			if got := o.Header[name]; !slices.Equal(got, []string{want}) {
				t.Errorf("%q: %s is %q", key, name, got)
			}
		}
	}
}

// send sends a request with a body, if it is not empty, and returns status and body of
// the response.
func send(t *testing.T, c *http.Client, method, target string, header http.Header, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	received, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(received)
}
