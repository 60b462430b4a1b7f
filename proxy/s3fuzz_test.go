package proxy_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// FuzzS3Request sends an arbitrary S3 request with one header field. If it leaves, it is
// for an object key below dir/ of the bucket, reads no other, publishes nothing, and all
// of its x-amz-* fields are signed.
func FuzzS3Request(f *testing.F) {
	for _, target := range []string{
		"/" + bucket + "/dir/a", "/" + bucket + "/dir/../b", "/" + bucket + "%2Fdir/a", "//" + bucket + "/dir/a", "/" + bucket + "/dir%2F%2e%2e/b", "/" + otherBucket + "/dir/a",
		"/" + bucket + "?list-type=2&prefix=dir/", "/" + bucket + "?prefix=dir/&%70refix=", "/" + bucket + "/?delete", "/" + bucket + "/dir/a?uploadId=1&partNumber=1", "/",
		"/" + bucket + "/dir/a?AWSAccessKeyId=a&Signature=b&Expires=9999999999&x-amz-acl=public-read", "/" + bucket + "/dir/a?x%2Damz%2dGrant-read=1&X-AMZ-Copy-Source=" + bucket + "/b",
		"/" + bucket + "/dir/a?x-amz-meta-%0d%0a=1", "http://" + cosHost + "/dir/a?acl", "http://" + bucket + ".localhost/b",
	} {
		for _, field := range [][2]string{
			{"x-amz-acl", "public-read"}, {"X-Amz-Tagging", "a=b"}, {"x-amz-copy-source", bucket + "%2Fdir%2f..%2fb"}, {"x-amz-copy-source", "/" + bucket + "/dir/a?versionId=1"},
			{"Connection", "x-amz-meta-a"}, {"x-amz-meta-a", "1"}, {"x-amz-grant-read_acp", "1"}, {"Content-Encoding", "aws-chunked"}, {"x-amz-content-sha256", emptyHash},
		} {
			f.Add("PUT", target, field[0], field[1])
			f.Add("GET", target, field[0], field[1])
		}
	}
	m := startMemoryCOS(f, []proxy.Route{{
		Bucket: bucket, Region: region, Endpoint: plainCOS, Credentials: newCredentials(1), AllowPrefixes: []string{"dir/*"},
		AllowActions: []string{"name/cos:GetObject", "name/cos:PutObject", "name/cos:UploadPart", "name/cos:GetBucket", "name/cos:DeleteObject"},
	}})
	allowed := meaning{host: cosHost, prefixes: []string{"dir/*"}}
	f.Fuzz(func(t *testing.T, method, target, name, value string) {
		if !slices.Contains([]string{"GET", "HEAD", "PUT", "POST", "DELETE"}, method) || strings.ContainsAny(target+name+value, "\r\n") ||
			strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding") || strings.EqualFold(name, "Host") {
			return
		}
		_, _, got := m.ask(t, method+" "+target+" HTTP/1.1\r\nHost: localhost\r\n"+dummySignature+name+": "+value+"\r\nContent-Length: 0\r\n\r\n")
		if got == nil {
			return
		}
		rawPath, rawQuery, _ := strings.Cut(got.target(), "?")
		key, err := url.PathUnescape(rawPath)
		if err != nil || got.Host != cosHost || !got.isS3() || key == "" {
			t.Fatalf("left as\n%s(%v)", got.head, err)
		}
		if key = key[1:]; key == "" {
			if method == "GET" {
				allowed.checkListing(t, rawQuery)
			}
		} else if !allowed.inside(key) {
			t.Errorf("%q left", key)
		}
		_, list, _ := strings.Cut(got.wire().Get("Authorization"), "SignedHeaders=")
		list, _, _ = strings.Cut(list, ",")
		for field, values := range got.wire() {
			lower := strings.ToLower(field)
			if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(strings.Split(list, ";"), lower) || strings.HasPrefix(lower, "x-cos-") {
				t.Errorf("%s left without a signature:\n%s", field, got.head)
			}
			switch {
			case lower == "x-amz-copy-source":
				source, _, _ := strings.Cut(values[0], "?")
				source, err := url.PathUnescape(source)
				if key, found := strings.CutPrefix(source, bucket+"/"); len(values) > 1 || err != nil || !found || !allowed.inside(key) {
					t.Errorf("a copy of %q left", values)
				}
			case strings.HasPrefix(lower, "x-amz-grant"), lower == "x-amz-tagging", lower == "x-amz-acl" && values[0] != "private" && values[0] != "default":
				t.Errorf("%s: %q left", field, values)
			}
		}
	})
}
