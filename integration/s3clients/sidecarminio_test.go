package s3clients_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// byMinIO runs test with the settings of minio-go: both signatures and both ways to name a
// bucket. Over HTTP, it signs the chunks of bodies.
func byMinIO(t *testing.T, test func(*testing.T, *sidecar, *minio.Client)) {
	t.Helper()
	v4, v2 := credentials.NewStaticV4(dummyID, dummyKey, ""), credentials.NewStaticV2(dummyID, dummyKey, "")
	bySchemes(t, func(t *testing.T, s *sidecar) {
		_, port, _ := strings.Cut(s.addr, ":")
		for name, o := range map[string]struct {
			host    string
			options minio.Options
		}{
			"V4":                  {s.addr, minio.Options{Creds: v4}},
			"V4 trailers":         {s.addr, minio.Options{Creds: v4, TrailingHeaders: true}},
			"V4 bucket.localhost": {"localhost:" + port, minio.Options{Creds: v4, BucketLookup: minio.BucketLookupDNS}},
			"V2":                  {s.addr, minio.Options{Creds: v2}},
		} {
			t.Run(name, func(t *testing.T) {
				o.options.Secure, o.options.Transport = s.scheme == "https", s.transport(t)
				c, err := minio.New(o.host, &o.options)
				if err != nil {
					t.Fatal(err)
				}
				test(t, s, c)
			})
		}
	})
}

func minioPut(t *testing.T, c *minio.Client, key, body string, o minio.PutObjectOptions) {
	t.Helper()
	if _, err := c.PutObject(t.Context(), bucket, key, strings.NewReader(body), int64(len(body)), o); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func minioGet(t *testing.T, c *minio.Client, key string, o minio.GetObjectOptions) string {
	t.Helper()
	object, err := c.GetObject(t.Context(), bucket, key, o)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	defer func() { _ = object.Close() }()
	body, err := io.ReadAll(object)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return string(body)
}

func TestSidecar_MinIOObjects(t *testing.T) {
	byMinIO(t, func(t *testing.T, s *sidecar, c *minio.Client) {
		for _, key := range trickyKeys {
			minioPut(t, c, key, "body of "+key, minio.PutObjectOptions{})
			if body := minioGet(t, c, key, minio.GetObjectOptions{}); body != "body of "+key {
				t.Errorf("%q: got %q", key, body)
			}
			if _, known := s.emu.Object(bucket, key); !known {
				t.Errorf("%q is stored under another key", key)
			}
			_, err := c.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "copy/" + key}, minio.CopySrcOptions{Bucket: bucket, Object: key})
			if err != nil {
				t.Errorf("copy of %q: %v", key, err)
			} else if body := minioGet(t, c, "copy/"+key, minio.GetObjectOptions{}); body != "body of "+key {
				t.Errorf("copy of %q: %q", key, body)
			}
			if err := c.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{}); err != nil {
				t.Errorf("DELETE %q: %v", key, err)
			}
		}
		minioPut(t, c, "empty", "", minio.PutObjectOptions{})
		if info, err := c.StatObject(t.Context(), bucket, "empty", minio.StatObjectOptions{}); err != nil || info.Size != 0 {
			t.Errorf("the empty object: %+v, %v", info, err)
		}
		minioPut(t, c, "digits", "0123456789", minio.PutObjectOptions{})
		o := minio.GetObjectOptions{}
		_ = o.SetRange(2, 4)
		if body := minioGet(t, c, "digits", o); body != "234" {
			t.Errorf("range: %q", body)
		}
		_, err := c.StatObject(t.Context(), bucket, "none", minio.StatObjectOptions{})
		if e := minio.ToErrorResponse(err); e.StatusCode != http.StatusNotFound || e.Code != "NoSuchKey" {
			t.Errorf("missing object: %v", err)
		}
		if found, err := c.BucketExists(t.Context(), bucket); err != nil || !found {
			t.Errorf("bucket exists: %t, %v", found, err)
		}
		if all, err := c.ListBuckets(t.Context()); err != nil || len(all) != 1 || all[0].Name != bucket {
			t.Errorf("buckets %+v, %v", all, err)
		}
	})
}

func TestSidecar_MinIOMetadata(t *testing.T) {
	byMinIO(t, func(t *testing.T, s *sidecar, c *minio.Client) {
		minioPut(t, c, "o", "body", minio.PutObjectOptions{
			UserMetadata: map[string]string{"color": "deep blue"}, UserTags: map[string]string{"a": "1", "b": "x y"}, StorageClass: "STANDARD_IA",
			ContentType: "text/plain", ContentEncoding: "gzip", CacheControl: "no-store",
		})
		minioPut(t, c, "public", "body", minio.PutObjectOptions{UserMetadata: map[string]string{"x-amz-acl": "public-read"}})
		info, err := c.StatObject(t.Context(), bucket, "o", minio.StatObjectOptions{})
		if err != nil || info.UserMetadata["Color"] != "deep blue" || info.ContentType != "text/plain" || info.UserTagCount != 2 ||
			info.Metadata.Get("Content-Encoding") != "gzip" || info.Metadata.Get("x-amz-storage-class") != "STANDARD_IA" {
			t.Errorf("metadata %+v, %v", info, err)
		}
		changed, err := tags.NewTags(map[string]string{"c": "3"}, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.PutObjectTagging(t.Context(), bucket, "o", changed, minio.PutObjectTaggingOptions{}); err != nil {
			t.Error(err)
		}
		if got, err := c.GetObjectTagging(t.Context(), bucket, "o", minio.GetObjectTaggingOptions{}); err != nil || got.ToMap()["c"] != "3" {
			t.Errorf("tags %v, %v", got, err)
		}
		if err := c.RemoveObjectTagging(t.Context(), bucket, "o", minio.RemoveObjectTaggingOptions{}); err != nil {
			t.Error(err)
		}
		if got, err := c.GetObjectTagging(t.Context(), bucket, "o", minio.GetObjectTaggingOptions{}); err != nil || len(got.ToMap()) != 0 {
			t.Errorf("tags %v are left", got)
		}
		for key, grants := range map[string]int{"o": 1, "public": 2} {
			if acl, err := c.GetObjectACL(t.Context(), bucket, key); err != nil || len(acl.Grant) != grants {
				t.Errorf("ACL of %s %+v, %v", key, acl, err)
			}
		}
		_, err = c.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "copy", ReplaceMetadata: true, UserMetadata: map[string]string{"color": "red"}},
			minio.CopySrcOptions{Bucket: bucket, Object: "o"})
		if o, _ := s.emu.Object(bucket, "copy"); err != nil || !slices.Equal(stored(o, "x-cos-meta-color"), []string{"red"}) {
			t.Errorf("copy %v, %v", o.Header, err)
		}
	})
}

func TestSidecar_MinIOLarge(t *testing.T) {
	byMinIO(t, func(t *testing.T, s *sidecar, c *minio.Client) {
		large := make([]byte, 12<<20)
		if strings.HasSuffix(t.Name(), "/V4") {
			large = make([]byte, 100<<20)
		}
		_, _ = rand.Read(large)
		small := large[:12<<20]
		for _, up := range []struct {
			key  string
			body []byte
			o    minio.PutObjectOptions
		}{{"one", large, minio.PutObjectOptions{DisableMultipart: true}}, {"parts", small, minio.PutObjectOptions{PartSize: 5 << 20}}} {
			if _, err := c.PutObject(t.Context(), bucket, up.key, bytes.NewReader(up.body), int64(len(up.body)), up.o); err != nil {
				t.Fatalf("%s: %v", up.key, err)
			}
			if body := minioGet(t, c, up.key, minio.GetObjectOptions{}); body != string(up.body) {
				t.Errorf("%s: %d bytes return", up.key, len(body))
			}
		}
		file := filepath.Join(t.TempDir(), "back")
		if err := c.FGetObject(t.Context(), bucket, "parts", file, minio.GetObjectOptions{}); err != nil {
			t.Error(err)
		} else if body, err := os.ReadFile(file); err != nil || !bytes.Equal(body, small) {
			t.Errorf("the file has %d bytes, %v", len(body), err)
		}
		// A reader of unknown length.
		if _, err := c.PutObject(t.Context(), bucket, "stream", io.MultiReader(bytes.NewReader(small)), -1, minio.PutObjectOptions{PartSize: 5 << 20}); err != nil {
			t.Fatal(err)
		}
		_, err := c.ComposeObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "composed"},
			minio.CopySrcOptions{Bucket: bucket, Object: "parts"}, minio.CopySrcOptions{Bucket: bucket, Object: "stream"})
		if o, _ := s.emu.Object(bucket, "composed"); err != nil || o.Size != int64(2*len(small)) {
			t.Errorf("%d bytes, %v", o.Size, err)
		}
	})
}

// Each checksum algorithm of the client, for objects and parts. It sends checksums only with
// signature V4 and trailers.
func TestSidecar_MinIOChecksums(t *testing.T) {
	byMinIO(t, func(t *testing.T, s *sidecar, c *minio.Client) {
		if !strings.HasSuffix(t.Name(), "trailers") {
			return
		}
		body := make([]byte, 6<<20)
		_, _ = rand.Read(body)
		for _, algorithm := range []minio.ChecksumType{
			minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumCRC64NVME, minio.ChecksumSHA1, minio.ChecksumSHA256,
		} {
			for _, o := range []minio.PutObjectOptions{{DisableMultipart: true}, {PartSize: 5 << 20}} {
				o.Checksum = algorithm
				if _, err := c.PutObject(t.Context(), bucket, "o", bytes.NewReader(body), int64(len(body)), o); err != nil {
					t.Errorf("%s, parts %t: %v", algorithm, !o.DisableMultipart, err)
				} else if got := minioGet(t, c, "o", minio.GetObjectOptions{}); got != string(body) {
					t.Errorf("%s, parts %t: %d bytes return", algorithm, !o.DisableMultipart, len(got))
				}
			}
		}
	})
}

func TestSidecar_MinIOListsAndDelete(t *testing.T) {
	byMinIO(t, func(t *testing.T, s *sidecar, c *minio.Client) {
		if strings.Contains(t.Name(), "trailers") {
			return // lists have no trailers
		}
		want := manyKeys()
		s.fill(t, want)
		for _, o := range []minio.ListObjectsOptions{{Recursive: true, Prefix: "many/"}, {Recursive: true, Prefix: "many/", UseV1: true}} {
			if keys := minioList(t, c, o); !slices.Equal(keys, want) {
				t.Errorf("V1 %t lists %d keys", o.UseV1, len(keys))
			}
		}
		if prefixes := minioList(t, c, minio.ListObjectsOptions{Prefix: "many/"}); !slices.Equal(prefixes, []string{"many/0/", "many/1/", "many/2/"}) {
			t.Errorf("prefixes %q", prefixes)
		}
		var all iter.Seq[minio.ObjectInfo] = func(yield func(minio.ObjectInfo) bool) {
			for _, key := range want {
				if !yield(minio.ObjectInfo{Key: key}) {
					return
				}
			}
		}
		results, err := c.RemoveObjectsWithIter(t.Context(), bucket, all, minio.RemoveObjectsOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for result := range results {
			if result.Err != nil {
				t.Fatalf("%q: %v", result.ObjectName, result.Err)
			}
		}
		if left := s.emu.Objects(bucket); len(left) != 0 {
			t.Errorf("%d objects are left", len(left))
		}
	})
}

func minioList(t *testing.T, c *minio.Client, o minio.ListObjectsOptions) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var keys []string
	for entry := range c.ListObjects(ctx, bucket, o) {
		if entry.Err != nil {
			t.Fatal(entry.Err)
		}
		keys = append(keys, entry.Key)
	}
	return keys
}

func TestSidecar_MinIOPresigned(t *testing.T) {
	byMinIO(t, func(t *testing.T, s *sidecar, c *minio.Client) {
		plain := s.client(t)
		for _, key := range []string{"plain", "a b", "a+b", "中文/ü"} {
			in, err := c.PresignedPutObject(t.Context(), bucket, key, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if status, text := send(t, plain, http.MethodPut, in.String(), nil, "body"); status != http.StatusOK {
				t.Fatalf("PUT %q: %d %s", key, status, text)
			}
			out, err := c.PresignedGetObject(t.Context(), bucket, key, time.Minute, url.Values{"response-content-type": {"text/x"}})
			if err != nil {
				t.Fatal(err)
			}
			if status, text := send(t, plain, http.MethodGet, out.String(), nil, ""); status != http.StatusOK || text != "body" {
				t.Fatalf("GET %q: %d %s", key, status, text)
			}
		}
	})
}
