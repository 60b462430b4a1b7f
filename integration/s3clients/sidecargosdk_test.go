package s3clients_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	managertypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// goSDK returns the AWS SDK with its default settings, apart from the endpoint.
func (s *sidecar) goSDK(t *testing.T, endpoint string, change ...func(*s3.Options)) *s3.Client {
	t.Helper()
	return s3.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: aws.String(endpoint), Credentials: static(dummyID, dummyKey, ""), HTTPClient: s.client(t),
		// The defaults of LoadDefaultConfig:
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, change...)
}

func pathStyle(o *s3.Options) { o.UsePathStyle = true }

// byStyles runs test with the ways in which the AWS SDK names a bucket.
func byStyles(t *testing.T, test func(*testing.T, *sidecar, *s3.Client)) {
	t.Helper()
	bySchemes(t, func(t *testing.T, s *sidecar) {
		t.Run("path", func(t *testing.T) { test(t, s, s.goSDK(t, s.url(), pathStyle)) })
		t.Run("path of COS", func(t *testing.T) { test(t, s, s.goSDK(t, s.scheme+"://"+cosHost, pathStyle)) })
		t.Run("localhost", func(t *testing.T) { test(t, s, s.goSDK(t, s.localhost())) })
		t.Run("host of COS", func(t *testing.T) { test(t, s, s.goSDK(t, s.scheme+"://"+cosHost)) })
	})
}

func TestSidecar_GoSDKObjects(t *testing.T) {
	byStyles(t, func(t *testing.T, s *sidecar, c *s3.Client) {
		for _, key := range trickyKeys {
			put(t, c, key, "body of "+key)
			if body, _ := get(t, c, key); body != "body of "+key {
				t.Errorf("%q: got %q", key, body)
			}
			if o, known := s.emu.Object(bucket, key); !known || o.Size != int64(len("body of "+key)) {
				t.Errorf("%q is stored under another key", key)
			}
			head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
			if err != nil || aws.ToInt64(head.ContentLength) != int64(len("body of "+key)) {
				t.Errorf("HEAD %q: %v", key, err)
			}
			source := bucket + "/" + strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
			copied := "copy/" + key
			if _, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String(copied), CopySource: aws.String(source)}); err != nil {
				t.Errorf("copy of %q: %v", key, err)
			} else if body, _ := get(t, c, copied); body != "body of "+key {
				t.Errorf("copy of %q: %q", key, body)
			}
			if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}); err != nil {
				t.Errorf("DELETE %q: %v", key, err)
			}
		}
		put(t, c, "empty", "")
		if body, _ := get(t, c, "empty"); body != "" {
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
		if head, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)}); err != nil || aws.ToString(head.BucketRegion) != region {
			t.Errorf("HEAD of the bucket: %+v, %v", head, err)
		}
		all, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
		if err != nil || len(all.Buckets) != 1 || aws.ToString(all.Buckets[0].Name) != bucket {
			t.Errorf("buckets %+v, %v", all, err)
		}
		_, err = c.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{
			Bucket: aws.String(bucket), Key: aws.String("digits"), ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag},
		})
		wantError(t, err, 501, "NotImplemented")
	})
}

// COS does not document reading a part of an object: part 1 is the whole object, as of an
// object of a single part, and further parts are an error.
func TestSidecar_GoSDKPartNumber(t *testing.T) {
	byStyles(t, func(t *testing.T, _ *sidecar, c *s3.Client) {
		put(t, c, "o", "body")
		if body, out := get(t, c, "o", func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(1) }); body != "body" || out.PartsCount != nil {
			t.Errorf("part 1: %q of %d", body, aws.ToInt32(out.PartsCount))
		}
		_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("o"), PartNumber: aws.Int32(2)})
		wantError(t, err, 501, "NotImplemented")
	})
}

// Each checksum algorithm, which the SDK sends as a header or trailer, also of parts.
func TestSidecar_GoSDKChecksums(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		c := s.goSDK(t, s.url(), pathStyle)
		manager := transfermanager.New(c)
		body := strings.Repeat("0123456789abcdef", 9<<16)
		for _, algorithm := range []types.ChecksumAlgorithm{
			types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme,
		} {
			if _, err := manager.UploadObject(t.Context(), &transfermanager.UploadObjectInput{
				Bucket: aws.String(bucket), Key: aws.String("parts"), Body: io.MultiReader(strings.NewReader(body)), ChecksumAlgorithm: managertypes.ChecksumAlgorithm(algorithm),
			}); err != nil {
				t.Errorf("%s of parts: %v", algorithm, err)
			} else if got, _ := get(t, c, "parts"); got != body {
				t.Errorf("%s of parts: %d bytes return", algorithm, len(got))
			}
		}
		for _, algorithm := range types.ChecksumAlgorithm("").Values() {
			in := &s3.PutObjectInput{
				Bucket: aws.String(bucket), Key: aws.String(string(algorithm)), Body: strings.NewReader("body"), ChecksumAlgorithm: algorithm,
			}
			_, err := c.PutObject(t.Context(), in)
			switch algorithm {
			case types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme:
				if _, known := s.emu.Object(bucket, *in.Key); err != nil || !known {
					t.Errorf("%s: stored %t, %v", algorithm, known, err)
				}
			default: // further ones of newer SDKs
				if _, known := s.emu.Object(bucket, *in.Key); err == nil || known {
					t.Errorf("%s: stored %t, %v", algorithm, known, err)
				}
			}
		}
	})
}

func TestSidecar_GoSDKMetadata(t *testing.T) {
	byStyles(t, func(t *testing.T, s *sidecar, c *s3.Client) {
		put(t, c, "o", "body", func(in *s3.PutObjectInput) {
			in.Metadata = map[string]string{"color": "deep blue", "n": "1"}
			in.StorageClass, in.Tagging = types.StorageClassStandardIa, aws.String("a=1&b=x%20y")
			in.ContentType, in.CacheControl, in.ContentEncoding = aws.String("text/plain"), aws.String("no-store"), aws.String("gzip")
			in.ACL, in.ServerSideEncryption = types.ObjectCannedACLPublicRead, types.ServerSideEncryptionAes256
		})
		_, out := get(t, c, "o")
		if out.StorageClass != types.StorageClassStandardIa || out.Metadata["color"] != "deep blue" || aws.ToString(out.ContentType) != "text/plain" ||
			aws.ToString(out.ContentEncoding) != "gzip" || aws.ToInt32(out.TagCount) != 2 || aws.ToString(out.CacheControl) != "no-store" {
			t.Errorf("metadata %+v", out)
		}
		acl, err := c.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: aws.String(bucket), Key: aws.String("o")})
		if err != nil || len(acl.Grants) != 2 {
			t.Errorf("ACL %+v, %v", acl, err)
		}
		if _, err := c.PutObjectAcl(t.Context(), &s3.PutObjectAclInput{Bucket: aws.String(bucket), Key: aws.String("o"), ACL: types.ObjectCannedACLPrivate}); err != nil {
			t.Error(err)
		}
		tagging := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("c"), Value: aws.String("3")}}}
		if _, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("o"), Tagging: tagging}); err != nil {
			t.Fatal(err)
		}
		_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("replaced"), CopySource: aws.String(bucket + "/o"), StorageClass: types.StorageClassIntelligentTiering,
			MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"color": "red"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, out := get(t, c, "replaced"); out.Metadata["color"] != "red" || out.Metadata["n"] != "" || out.StorageClass != types.StorageClassIntelligentTiering {
			t.Errorf("metadata of the copy %+v", out.Metadata)
		}
		tags, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("replaced")})
		if err != nil || len(tags.TagSet) != 1 || aws.ToString(tags.TagSet[0].Key) != "c" {
			t.Errorf("tags of the copy %+v, %v", tags, err)
		}
	})
}

func TestSidecar_GoSDKListsAndDelete(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		want := manyKeys()
		s.fill(t, want)
		c := s.goSDK(t, s.url(), pathStyle)
		var keys []string
		for pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)}); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				keys = append(keys, aws.ToString(o.Key))
			}
		}
		if !slices.Equal(keys, want) {
			t.Errorf("V2 lists %d keys", len(keys))
		}
		keys = nil
		for marker := aws.String(""); marker != nil; {
			page, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: aws.String(bucket), Prefix: aws.String("many/"), Marker: marker})
			if err != nil {
				t.Fatal(err)
			}
			marker = nil
			for _, o := range page.Contents {
				keys = append(keys, aws.ToString(o.Key))
				if aws.ToBool(page.IsTruncated) {
					marker = o.Key
				}
			}
		}
		if !slices.Equal(keys, want) {
			t.Errorf("V1 lists %d keys", len(keys))
		}
		for keys := range slices.Chunk(keys, 1000) {
			in := &s3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Quiet: aws.Bool(true)}}
			for _, key := range keys {
				in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: aws.String(key)})
			}
			if out, err := c.DeleteObjects(t.Context(), in); err != nil || len(out.Errors) != 0 {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		if left := s.emu.Objects(bucket); len(left) != 0 {
			t.Errorf("%d objects are left", len(left))
		}
	})
}

func TestSidecar_GoSDKTransferManager(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		c := s.goSDK(t, s.url(), pathStyle)
		manager := transfermanager.New(c)
		large := make([]byte, 100<<20)
		_, _ = rand.Read(large)
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("large"), Body: bytes.NewReader(large)})
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("large")})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(out.Body)
		if err != nil || !bytes.Equal(body, large) {
			t.Errorf("%d bytes return, %v", len(body), err)
		}
		// A reader without a length needs parts.
		if _, err := manager.UploadObject(t.Context(), &transfermanager.UploadObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("parts"), Body: io.MultiReader(bytes.NewReader(large[:24<<20])), Metadata: map[string]string{"a": "1"},
		}); err != nil {
			t.Fatal(err)
		}
		for _, by := range []managertypes.GetObjectType{managertypes.GetObjectParts, managertypes.GetObjectRanges} {
			file, err := os.Create(filepath.Join(t.TempDir(), "back"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = manager.DownloadObject(t.Context(), &transfermanager.DownloadObjectInput{Bucket: aws.String(bucket), Key: aws.String("parts"), WriterAt: file},
				func(o *transfermanager.Options) { o.GetObjectType = by })
			body, readErr := os.ReadFile(file.Name())
			if err != nil || readErr != nil || file.Close() != nil || !bytes.Equal(body, large[:24<<20]) {
				t.Errorf("by %s: %d bytes return, %v", by, len(body), err)
			}
		}
		if o, _ := s.emu.Object(bucket, "parts"); stored(o, "x-cos-meta-a") == nil || !strings.Contains(o.ETag, "-") {
			t.Errorf("the object of parts has %v, %s", o.Header, o.ETag)
		}
	})
}

func TestSidecar_GoSDKMultipartCopy(t *testing.T) {
	byStyles(t, func(t *testing.T, _ *sidecar, c *s3.Client) {
		key := aws.String("dir/parts of a+b")
		part := strings.Repeat("0123456789abcdef", 1<<16)
		put(t, c, "source", part)
		upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: key})
		if err != nil {
			t.Fatal(err)
		}
		first, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader(part),
		})
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
			Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(2),
			CopySource: aws.String(bucket + "/source"), CopySourceRange: aws.String(fmt.Sprintf("bytes=0-%d", len(part)-1)),
		})
		if err != nil {
			t.Fatal(err)
		}
		listed, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId})
		if err != nil || len(listed.Parts) != 2 {
			t.Errorf("parts %+v, %v", listed, err)
		}
		_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
			Bucket: aws.String(bucket), Key: key, UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
				{ETag: first.ETag, PartNumber: aws.Int32(1), ChecksumCRC32: first.ChecksumCRC32}, {ETag: second.CopyPartResult.ETag, PartNumber: aws.Int32(2)},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := get(t, c, *key); body != part+part {
			t.Errorf("%d bytes return", len(body))
		}
	})
}

func TestSidecar_GoSDKPresigned(t *testing.T) {
	byStyles(t, func(t *testing.T, s *sidecar, c *s3.Client) {
		plain := s.client(t)
		presign := s3.NewPresignClient(c, func(o *s3.PresignOptions) { o.Expires = time.Minute })
		for _, key := range []string{"plain", "a b", "a+b", "a%2Fb", "中文/ü"} {
			in, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String(bucket), Key: aws.String(key), Metadata: map[string]string{"a": "1"}, StorageClass: types.StorageClassStandardIa,
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
			if status, text := send(t, plain, http.MethodGet, out.URL, out.SignedHeader, ""); status != 200 || text != "body" {
				t.Fatalf("GET %q: %d %s", key, status, text)
			}
			o, _ := s.emu.Object(bucket, key)
			if stored(o, "x-cos-meta-a") == nil || stored(o, "x-cos-storage-class")[0] != "STANDARD_IA" {
				t.Errorf("%q: %v", key, o.Header)
			}
		}
	})
}
