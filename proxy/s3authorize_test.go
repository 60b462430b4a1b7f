package proxy_test

import (
	"crypto/md5"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// s3Operations are S3 requests, with the action of COS that each requires.
var s3Operations = []struct{ request, header, body, action string }{
	{"GET /dir/a", "", "", "GetObject"},
	{"GET /dir/a?versionId=1&x-id=GetObject", "", "", "GetObject"},
	{"HEAD /dir/a", "", "", "HeadObject"},
	{"PUT /dir/a?x-id=PutObject", "", "x", "PutObject"},
	{"DELETE /dir/a", "", "", "DeleteObject"},
	{"GET /?list-type=2&prefix=dir/", "", "", "GetBucket"},
	{"GET /?prefix=dir/", "", "", "GetBucket"},
	{"GET ?versions&prefix=dir/", "", "", "GetBucketObjectVersions"},
	{"GET /?uploads&prefix=dir/", "", "", "ListMultipartUploads"},
	{"HEAD ", "", "", "HeadBucket"},
	{"PUT ", "", "", "PutBucket"},
	{"DELETE /", "", "", "DeleteBucket"},
	{"POST /?delete", "", deletes("dir/a", "dir/b"), "DeleteObject"},
	{"POST /dir/a?uploads", "", "", "InitiateMultipartUpload"},
	{"PUT /dir/a?partNumber=1&uploadId=u", "", "x", "UploadPart"},
	{"POST /dir/a?uploadId=u", "", "<CompleteMultipartUpload/>", "CompleteMultipartUpload"},
	{"DELETE /dir/a?uploadId=u", "", "", "AbortMultipartUpload"},
	{"GET /dir/a?uploadId=u", "", "", "ListParts"},
	{"GET /dir/a?acl", "", "", "GetObjectACL"},
	{"PUT /dir/a?acl", "", "<AccessControlPolicy/>", "PutObjectACL"},
	{"GET /dir/a?tagging", "", "", "GetObjectTagging"},
	{"PUT /dir/a?tagging", "", "<Tagging/>", "PutObjectTagging"},
	{"POST /dir/a?restore", "", "<RestoreRequest/>", "PostObjectRestore"},
	{"GET /?cors", "", "", "GetBucketCORS"},
	{"PUT /?policy", "", "{}", "PutBucketPolicy"},
	{"GET /?versioning", "", "", "GetBucketVersioning"},
}

func deletes(keys ...string) string {
	return "<Delete><Object><Key>" + strings.Join(keys, "</Key></Object><Object><Key>") + "</Key></Object></Delete>"
}

func (r *rig) s3Operation(t *testing.T, request, header, body string) reply {
	t.Helper()
	method, target, _ := strings.Cut(request, " ")
	return r.s3(t, method, "/"+bucket+target, header, body)
}

// Each operation requires the action that policies of COS name, and reaches COS with it.
func TestS3_Actions(t *testing.T) {
	for _, tt := range s3Operations {
		t.Run(tt.request, func(t *testing.T) {
			r := start(t, setup{options: allowOnly("OptionsObject")})
			rep := r.s3Operation(t, tt.request, tt.header, tt.body)
			if rep.status != http.StatusForbidden || len(r.upstream.seen()) > 0 {
				t.Fatalf("status %d, and %d requests reached COS", rep.status, len(r.upstream.seen()))
			}
			if !strings.HasPrefix(tt.request, "HEAD") {
				if doc := rep.cosError(t); !strings.Contains(doc.Message, "name/cos:"+tt.action+" ") {
					t.Errorf("the message does not name %s: %s", tt.action, doc.Message)
				}
			}
			r = start(t, setup{options: allowOnly(tt.action)})
			if rep := r.s3Operation(t, tt.request, tt.header, tt.body); rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			if a := r.upstream.only(t); !a.isS3() || string(a.body) != tt.body {
				t.Errorf("arrived as\n%s%s", a.head, a.body)
			}
		})
	}
}

func TestS3_Prefixes(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	for _, request := range []string{
		"GET /key", "GET /dir", "GET /dirt/a", "PUT /key", "DELETE /key", "GET /?list-type=2", "GET /?list-type=2&prefix=d", "GET /?list-type=2&prefix=secret/",
		"GET /?list-type=2&prefix=dir/&prefix=secret/", "GET /?list-type=2&prefix=secret/&prefix=dir/", "GET /?prefix=&list-type=2", "GET /?versions", "GET /?uploads&prefix=e",
		"POST /key?uploads", "PUT /key?partNumber=1&uploadId=u", "GET /key?acl",
		"GET /?list-type=2&start-after=dir/a", "GET /%64irt/a",
	} {
		body := ""
		if strings.HasPrefix(request, "PUT") {
			body = "x"
		}
		r.refusedS3(t, r.s3Operation(t, request, "", body), http.StatusForbidden, "AccessDenied")
	}
	for _, body := range []string{deletes("dir/a", "secret"), deletes("secret"), deletes("dir/a", "")} {
		for name, coded := range map[string]string{"": body, "Content-Encoding: aws-chunked\r\nx-amz-decoded-content-length: " + itoa(len(body)) + "\r\n": chunk(body)} {
			rep := r.s3Operation(t, "POST /?delete", name, coded)
			if rep.status != http.StatusForbidden && rep.status != http.StatusBadRequest {
				t.Errorf("%s: status %d", body, rep.status)
			}
		}
	}
	if n := len(r.upstream.seen()); n > 0 {
		t.Fatalf("%d requests reached COS", n)
	}
	for _, request := range []string{"GET /dir/a", "GET /%64ir%2Fa", "GET /?list-type=2&prefix=dir/&start-after=x", "GET /?list-type=2&prefix=%64ir%2F"} {
		if rep := r.s3Operation(t, request, "", ""); rep.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", request, rep.status, rep.body)
		}
	}
}

// COS requires Content-MD5 for DeleteObjects, which current S3 clients do not send.
func TestS3_DeleteObjects(t *testing.T) {
	r := start(t, setup{options: allowOnly("DeleteObject")})
	body := deletes("dir/a", "dir/b")
	if rep := r.s3Operation(t, "POST /?delete", "x-amz-sdk-checksum-algorithm: CRC32\r\nx-amz-checksum-crc32: "+crc32Of(body)+"\r\n", body); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if a := r.upstream.only(t); a.Header.Get("Content-Md5") == "" || string(a.body) != body || a.target() != "/?delete" {
		t.Errorf("arrived as\n%s%s", a.head, a.body)
	}
}

// A condition in a delete list that COS may ignore is an error, whatever the route allows.
func TestS3_DeleteConditions(t *testing.T) {
	for _, prefix := range []string{"*", "dir/*"} {
		r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{prefix} }})
		for _, element := range []string{"ETag", "LastModifiedTime", "Size"} {
			body := "<Delete><Object><Key>dir/a</Key><" + element + ">1</" + element + "></Object></Delete>"
			doc := r.refusedS3(t, r.s3Operation(t, "POST /?delete", "", body), http.StatusNotImplemented, "NotImplemented")
			if !strings.Contains(doc.Message, element) {
				t.Error(doc.Message)
			}
		}
		r.refusedS3(t, r.s3Operation(t, "POST /?delete", "", "<Delete><Object><Key>dir/a</Key><Other/></Object></Delete>"), http.StatusBadRequest, "MalformedXML")
	}
}

// COS requires Content-MD5 for XML documents. Current S3 clients send other checksums.
func TestS3_ContentMD5(t *testing.T) {
	const body = "<Tagging><TagSet></TagSet></Tagging>"
	for request, want := range map[string]bool{
		"PUT /dir/a?tagging": true, "PUT /?cors": true, "POST /dir/a?uploadId=u": true, "PUT /dir/a": false, "PUT /dir/a?partNumber=1&uploadId=u": false,
	} {
		r := start(t, setup{})
		if rep := r.s3Operation(t, request, "x-amz-checksum-crc32: "+crc32Of(body)+"\r\n", body); rep.status != http.StatusOK && request != "POST /dir/a?uploadId=u" {
			t.Fatalf("%s: status %d: %s", request, rep.status, rep.body)
		}
		sum := md5.Sum([]byte(body))
		if got := r.upstream.seen()[0].Header.Get("Content-Md5"); want && got != base64.StdEncoding.EncodeToString(sum[:]) || !want && got != "" {
			t.Errorf("%s: Content-MD5 %q", request, got)
		}
	}
}

// The source of a copy is checked, and named to COS as its documents do.
func TestS3_CopySource(t *testing.T) {
	for source, wire := range map[string]string{
		bucket + "/dir/a":                                       bucket + "/dir/a",
		"/" + bucket + "/dir/a":                                 bucket + "/dir/a",
		bucket + "%2Fdir%2Fa":                                   bucket + "/dir%2Fa",
		"%2f" + bucket + "%2fdir/a%20b":                         bucket + "/dir/a%20b",
		bucket + "/dir/a?versionId=MTg0+":                       bucket + "/dir/a?versionId=MTg0%2B",
		bucket + "/dir/%E7%9B%AE+a%2Bb":                         bucket + "/dir/%E7%9B%AE%20a%2Bb", // encoded like a form
		bucket + "/dir/目":                                       bucket + "/dir/%E7%9B%AE",
		bucket + "%2Fdir/a%3FversionId%3D1":                     bucket + "/dir/a%3FversionId%3D1",
		"http://" + cosHost + "/dir/a":                          bucket + "/dir/a",
		bucket + ".localhost/dir/a":                             bucket + "/dir/a",
		"/cos." + region + ".myqcloud.com/" + bucket + "/dir/a": bucket + "/dir/a",
	} {
		for _, request := range []string{"PUT /dir/b", "PUT /dir/b?partNumber=1&uploadId=u"} {
			r := start(t, setup{options: allowOnly("GetObject", "PutObject", "UploadPart")})
			rep := r.s3Operation(t, request, "X-Amz-Copy-Source: "+source+"\r\nx-amz-metadata-directive: REPLACE\r\nContent-Length: 0\r\n", "")
			if rep.status != http.StatusOK {
				t.Errorf("%s: status %d: %s", source, rep.status, rep.body)
				continue
			}
			if got := r.upstream.only(t).Header.Get("X-Amz-Copy-Source"); got != wire {
				t.Errorf("%s was sent as %s, want %s", source, got, wire)
			}
		}
	}
	for source, status := range map[string]int{
		bucket + "/secret": 403, "/" + bucket + "/secret": 403, bucket + "%2Fsecret": 403, bucket + "%2fsecret/dir/a": 403, bucket + "/dir%2": 400,
		otherBucket + "/dir/a": 403, otherBucket + "%2Fdir%2Fa": 403, bucket: 400, bucket + "/": 400, bucket + "%2F": 400, "": 400,
		bucket + "/dir/a?versionId=": 400, bucket + "/dir/a?versionId=1&versionId=2": 400, bucket + "/dir/a?versionId=1/../b": 400, bucket + "/dir/a?versionId=1?": 400,
		bucket + "%252Fdir%2Fa": 403, bucket + "/%64irt/a": 403, bucket + "//dir/a": 403, bucket + "/dir/a\r\nx-amz-copy-source: " + bucket + "/secret": 400,
		bucket + "/dir/a\r\nX-AMZ-COPY-SOURCE: " + bucket + "/dir/a": 400, "%2F%2F" + bucket + "/dir/a": 403, "arn:aws:s3:us-west-2:1:accesspoint/a/object/dir/a": 403,
	} {
		r := start(t, setup{options: allowOnly("GetObject", "PutObject")})
		rep := r.s3Operation(t, "PUT /dir/b", "x-amz-copy-source: "+source+"\r\nContent-Length: 0\r\n", "")
		if rep.status != status || len(r.upstream.seen()) > 0 || rep.header.Get("X-Amz-Request-Id") == "" {
			t.Errorf("%q: status %d, want %d: %s", source, rep.status, status, rep.body)
		}
	}
	r := start(t, setup{options: allowOnly("PutObject")})
	r.refusedS3(t, r.s3Operation(t, "PUT /dir/b", "x-amz-copy-source: "+bucket+"/dir/a\r\nContent-Length: 0\r\n", ""), http.StatusForbidden, "AccessDenied")
}

// The ACL and the tags of an upload require actions of their own, as with x-cos-.
func TestS3_HeadersRequireAction(t *testing.T) {
	for _, tt := range []struct{ header, action string }{
		{"x-amz-acl: public-read", "PutObjectACL"},
		{"X-AMZ-ACL: Private", "PutObjectACL"},
		{"x-amz-acl: private\r\nX-Amz-Acl: public-read", "PutObjectACL"},
		{"x-amz-acl:", "PutObjectACL"},
		{"x-amz-grant-read: uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"", "PutObjectACL"},
		{"X-Amz-Grant-Full-Control: id=1", "PutObjectACL"},
		{"x-amz-grant-write-acp: id=1", "PutObjectACL"},
		{"x-amz-tagging: a=b", "PutObjectTagging"},
		{"X-Amz-Tagging:", "PutObjectTagging"},
		{"x-amz-acl: private", ""},
		{"x-amz-meta-acl: public-read\r\nx-amz-storage-class: STANDARD_IA\r\nx-amz-tagging-directive: COPY", ""},
	} {
		for name, operation := range map[string]struct{ request, header, body string }{
			"put":       {"PUT /dir/a", "", "x"},
			"multipart": {"POST /dir/a?uploads", "", ""},
			"copy":      {"PUT /dir/b", "x-amz-copy-source: " + bucket + "/dir/a\r\nContent-Length: 0\r\n", ""},
		} {
			t.Run(tt.header+" "+name, func(t *testing.T) {
				r := start(t, setup{options: allowOnly("PutObject", "GetObject", "InitiateMultipartUpload")})
				rep := r.s3Operation(t, operation.request, tt.header+"\r\n"+operation.header, operation.body)
				if tt.action == "" {
					if rep.status != http.StatusOK {
						t.Fatalf("status %d: %s", rep.status, rep.body)
					}
					r.upstream.only(t)
					return
				}
				if doc := r.refusedS3(t, rep, http.StatusForbidden, "AccessDenied"); !strings.Contains(doc.Message, tt.action) {
					t.Error(doc.Message)
				}
				r = start(t, setup{options: allowOnly("PutObject", "GetObject", "InitiateMultipartUpload", tt.action)})
				if rep := r.s3Operation(t, operation.request, tt.header+"\r\n"+operation.header, operation.body); rep.status != http.StatusOK {
					t.Errorf("status %d with %s: %s", rep.status, tt.action, rep.body)
				}
			})
		}
	}
	r := start(t, setup{options: allowOnly("PutBucket", "PutObjectACL")})
	r.refusedS3(t, r.s3Operation(t, "PUT /", "x-amz-acl: public-read\r\nContent-Length: 0\r\n", ""), http.StatusForbidden, "AccessDenied")
}

// What COS does not have never becomes a call of another operation, even if everything is
// allowed.
func TestS3_NotImplemented(t *testing.T) {
	r := start(t, setup{})
	for _, tt := range []struct{ request, header, says string }{
		{"GET /key?attributes", "x-amz-object-attributes: ETag\r\n", "GetObjectAttributes"},
		{"PUT /key?retention", "", "PutObjectRetention"},
		{"GET /key?torrent", "", "GetObjectTorrent"},
		{"PUT /?object-lock", "", "PutObjectLockConfiguration"},
		{"GET /key?partNumber=2", "", "partNumber"}, {"GET /key?partNumber=1&partNumber=2", "", "partNumber"},
		{"GET /key?unknown", "", "unknown"},
		{"PUT /key?append&position=0", "", "append"},
		{"DELETE /key?acl", "", "DELETE"},
		{"PUT /key", "x-amz-object-lock-mode: COMPLIANCE\r\n", "x-amz-object-lock-mode"},
		{"PUT /key", "x-amz-server-side-encryption: aws:kms\r\n", "AES256"},
		{"PUT /key", "x-amz-expected-bucket-owner: 1\r\n", "x-amz-expected-bucket-owner"},
		{"PUT /key", "X-Amz-Write-Offset-Bytes: 1\r\n", "X-Amz-Write-Offset-Bytes"},
		{"DELETE /key", "x-amz-mfa: 1\r\n", "x-amz-mfa"},
		{"PUT /key", "If-None-Match: *\r\n", "If-None-Match"},
		{"PUT /key", "if-match: \"e\"\r\n", "if-match"},
		{"DELETE /key", "If-Unmodified-Since: Wed, 21 Oct 2015 07:28:00 GMT\r\n", "If-Unmodified-Since"},
		{"DELETE /key", "If-Match: \"e\"\r\n", "If-Match"},
		{"POST /key?uploadId=u", "If-None-Match: *\r\n", "If-None-Match"},
	} {
		doc := r.refusedS3(t, r.s3Operation(t, tt.request, tt.header, ""), http.StatusNotImplemented, "NotImplemented")
		if !strings.Contains(doc.Message, tt.says) {
			t.Errorf("%s %s: %s", tt.request, tt.header, doc.Message)
		}
	}
	for _, header := range []string{"If-Match: \"e\"\r\n", "If-None-Match: \"e\"\r\n", "If-Modified-Since: Sun, 29 Nov 2026 00:00:00 GMT\r\n"} {
		if rep := r.s3Operation(t, "GET /key", header, ""); rep.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", header, rep.status, rep.body)
		}
	}
}
