package s3req_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
	"cosproxy/proxy/internal/s3req"
)

// operation splits "METHOD key?query" and returns its operation. The key may be empty.
func operation(t *testing.T, request string) (name string, op cosreq.Operation, err error) {
	t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	key, raw, _ := strings.Cut(rest, "?")
	q, err := cosreq.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	name, err = s3req.Operation(method, key, q)
	return name, cosreq.Classify(method, key, q), err
}

// Each operation that passes has a COS action, and all of its parameters are documented:
// otherwise they would be removed from a read without a word.
func TestOperation(t *testing.T) {
	for request, want := range map[string]string{
		"GET k": "GetObject GetObject", "GET k?x-id=GetObject": "GetObject GetObject", "GET k?versionId=1": "GetObject GetObject",
		"GET k?response-content-type=a&response-content-language=b&response-expires=c&response-cache-control=d&response-content-disposition=e&response-content-encoding=f": "GetObject GetObject",
		"HEAD k":                 "HeadObject HeadObject",
		"HEAD k?versionId=1":     "HeadObject HeadObject",
		"PUT k?x-id=PutObject":   "PutObject PutObject",
		"DELETE k?versionId=1":   "DeleteObject DeleteObject",
		"POST k?uploads":         "CreateMultipartUpload InitiateMultipartUpload",
		"POST k?uploads=":        "CreateMultipartUpload InitiateMultipartUpload",
		"POST k?uploadId=u":      "CompleteMultipartUpload CompleteMultipartUpload",
		"DELETE k?uploadId=u":    "AbortMultipartUpload AbortMultipartUpload",
		"GET k?acl&versionId=1":  "GetObjectAcl GetObjectACL",
		"PUT k?acl":              "PutObjectAcl PutObjectACL",
		"GET k?tagging":          "GetObjectTagging GetObjectTagging",
		"PUT k?tagging":          "PutObjectTagging PutObjectTagging",
		"DELETE k?tagging":       "DeleteObjectTagging DeleteObjectTagging",
		"POST k?restore":         "RestoreObject PostObjectRestore",
		"OPTIONS k?list-type=7":  "preflight OptionsObject",
		"GET ":                   "ListObjects GetBucket",
		"GET ?prefix=a&marker=b": "ListObjects GetBucket",
		"HEAD ":                  "HeadBucket HeadBucket",
		"PUT ":                   "CreateBucket PutBucket",
		"DELETE ":                "DeleteBucket DeleteBucket",
		"POST ?delete":           "DeleteObjects DeleteObject",
		"GET ?location":          "GetBucketLocation GetBucketLocation",
		"GET ?inventory&id=1":    "GetBucketInventoryConfiguration GetBucketInventory",
		"PUT ?policy":            "PutBucketPolicy PutBucketPolicy",

		"GET k?uploadId=u&max-parts=1&part-number-marker=2&encoding-type=url": "ListParts ListParts",
		"PUT k?partNumber=1&uploadId=u":                                       "UploadPart UploadPart",
		"POST k?select&select-type=2":                                         "SelectObjectContent GetObject",
		"GET ?list-type=2&prefix=a&delimiter=/&max-keys=1&continuation-token=c&start-after=s&fetch-owner&encoding-type=x": "ListObjectsV2 GetBucket",
		"GET ?versions&prefix=a&delimiter=/&key-marker=k&version-id-marker=v&max-keys=1&encoding-type=url":                "ListObjectVersions GetBucketObjectVersions",
		"GET ?uploads&prefix=a&delimiter=/&key-marker=k&upload-id-marker=v&max-uploads=1&encoding-type=url":               "ListMultipartUploads ListMultipartUploads",
	} {
		name, op, err := operation(t, request)
		if got := name + " " + strings.TrimPrefix(op.Action, cosreq.ActionPrefix); err != nil || got != want {
			t.Errorf("%s: %s, want %s; %v", request, got, want, err)
		}
		if len(op.Unknown) > 0 && !strings.HasPrefix(request, "OPTIONS") || len(op.Also) > 0 {
			t.Errorf("%s: unknown %q, further actions %v", request, op.Unknown, op.Also)
		}
	}
	for _, sub := range strings.Fields("acl cors lifecycle policy tagging versioning replication website logging notification accelerate encryption inventory") {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			if name, op, err := operation(t, method+" ?"+sub); err != nil || op.Action == "" || len(op.Unknown) > 0 {
				t.Errorf("%s ?%s: %s, %+v, %v", method, sub, name, op, err)
			}
		}
	}
}

// What COS does not have is an error that names it.
func TestOperation_Missing(t *testing.T) {
	for request, says := range map[string]string{
		"GET k?attributes": "GetObjectAttributes", "GET k?legal-hold": "GetObjectLegalHold", "PUT k?legal-hold": "PutObjectLegalHold",
		"GET k?retention": "GetObjectRetention", "PUT k?retention": "PutObjectRetention", "GET k?torrent": "GetObjectTorrent",
		"PUT k?renameObject": "RenameObject", "PUT k?encryption": "UpdateObjectEncryption",
		"GET ?analytics": "GetBucketAnalyticsConfiguration", "GET ?metrics&id=1": "GetBucketMetricsConfiguration",
		"GET ?intelligent-tiering": "GetBucketIntelligentTieringConfiguration", "PUT ?ownershipControls": "PutBucketOwnershipControls",
		"GET ?publicAccessBlock": "GetPublicAccessBlock", "DELETE ?publicAccessBlock": "DeletePublicAccessBlock", "GET ?policyStatus": "GetBucketPolicyStatus",
		"GET ?requestPayment": "GetBucketRequestPayment", "GET ?object-lock": "GetObjectLockConfiguration", "PUT ?object-lock": "PutObjectLockConfiguration",
		"GET ?session": "CreateSession", "GET ?abac": "GetBucketAbac", "POST ?metadataTable": "CreateBucketMetadataTableConfiguration",
		"POST ?metadataConfiguration": "CreateBucketMetadataConfiguration", "PUT ?metadataInventoryTable": "UpdateBucketMetadataInventoryTableConfiguration",
		"PUT ?metadataJournalTable": "UpdateBucketMetadataJournalTableConfiguration",

		"POST k": "POST of an object", "POST k?append&position=0": "POST", "HEAD k?acl": "HEAD of an object (acl)", "DELETE k?acl": "DELETE", "HEAD ?location": "HEAD of a bucket",
		"PUT ?versions": "PUT", "DELETE ?acl": "DELETE", "GET ?delete": "GET", "PUT k?uploads": "PUT", "GET k?uploads": "GET",

		"GET k?partNumber=1": `"partNumber"`, "GET k?foo": `"foo"`, "GET k?policy": `"policy"`, "GET k?delete": `"delete"`, "GET k?ACL": `"ACL"`, "GET k?acl%00": "acl",
		"GET k?Tagging=": `"Tagging"`, "GET k?%61cl%20": `"acl "`, "PUT k?partNumber=1": `"partNumber"`, "PUT k?rename": `"rename"`, "GET k?response-a=b": `"response-a"`,
		"GET ?response-content-type=a": `"response-content-type"`, "GET ?versionId=1": `"versionId"`, "GET k?imageMogr2/strip": "imageMogr2", "GET k?ci-process=a": "ci-process",
		"GET k?acl&response-content-type=a": "response-content-type", "GET ?versions&marker=a": `"marker"`, "GET ?location&prefix=a": `"prefix"`,
		"GET ?domain": `"domain"`, "GET ?referer": `"referer"`, "GET k?x-amz-acl": "x-amz-acl",

		"GET k?acl&tagging": "acl and tagging", "PUT k?uploadId=1&acl": "uploadId and acl", "POST k?uploads&uploadId=1": "uploads and uploadId", "GET ?policy&%61cl": "policy and acl",
		"GET ?list-type": `list-type ""`, "GET ?list-type=2&list-type=1": `list-type "1"`, "GET ?list-type=1&list-type=2": `list-type "1"`, "GET ?list-type=2&list-type=2": `list-type "2"`,
		"GET ?marker=a&list-type=2": `"marker"`, "GET ?continuation-token=a": `"continuation-token"`, "GET ?start-after=a": `"start-after"`,
		"GET ?list-type=1": `list-type "1"`, "GET ?list-type=3": `list-type "3"`,
	} {
		name, _, err := operation(t, request)
		var e *coserr.Error
		if !errors.As(err, &e) || e.Status != http.StatusNotImplemented || e.Code != "NotImplemented" || !strings.Contains(e.Message, says) {
			t.Errorf("%s: %q, %v; want an error with %s", request, name, err, says)
		}
	}
}

func TestFieldUse(t *testing.T) {
	long := strings.Repeat("a", 80)
	for use, names := range map[s3req.Use][]string{
		s3req.Forward: {
			"x-amz-acl", "X-AMZ-ACL", "x-amz-grant-read", "x-amz-meta-a", "X-Amz-Meta-", "x-amz-meta-" + long, "x-amz-copy-source", "x-amz-copy-source-if-match",
			"x-amz-tagging", "x-amz-tagging-directive", "x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-server-side-encryption-customer-key-md5",
		},
		s3req.Consume: {
			"x-amz-date", "X-Amz-Content-Sha256", "x-amz-security-token", "x-amz-trailer", "x-amz-decoded-content-length", "x-amz-checksum-crc64nvme",
			"x-amz-checksum-type", "x-amz-sdk-checksum-algorithm", "x-amz-credential",
		},
		s3req.Ignore: {"x-amz-user-agent", "x-amz-checksum-mode", "x-amz-request-payer", "x-amz-te"},
		s3req.Missing: {
			"x-amz-", "x-amz-unknown", "x-amz-metadata", "x-amz-grant", "x-amz-acl2", "x-amz-acl ", "x_amz_acl", "x-amz-object-lock-mode", "x-amz-expected-bucket-owner", "x-amz-mfa",
			"x-amz-bypass-governance-retention", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-write-offset-bytes", "x-amz-checksum-sha512", "x-amz-" + long,
		},
	} {
		for _, name := range names {
			if got := s3req.FieldUse([]byte(name)); got != use {
				t.Errorf("%s: %d, want %d", name, got, use)
			}
		}
	}
	name := []byte("X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key-MD5")
	if n := testing.AllocsPerRun(100, func() { s3req.FieldUse(name) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheckValue(t *testing.T) {
	for value, ok := range map[string]bool{"AES256": true, "aws:kms": false, "aws:kms:dsse": false, "aes256": false, "": false, "cos/kms": false} {
		if err := s3req.CheckValue([]byte("X-Amz-Server-Side-Encryption"), []byte(value)); (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
	if err := s3req.CheckValue([]byte("x-amz-acl"), []byte("aws:kms")); err != nil {
		t.Error(err)
	}
}

func TestDecodedEncoding(t *testing.T) {
	for value, want := range map[string]struct {
		rest  string
		found bool
	}{
		"": {"", false}, "gzip": {"gzip", false}, "gzip , br": {"gzip , br", false}, "x-aws-chunked": {"x-aws-chunked", false},
		"aws-chunked": {"", true}, "AWS-Chunked": {"", true}, "aws-chunked,gzip": {"gzip", true}, "gzip, aws-chunked": {"gzip", true},
		"gzip,\taws-chunked ,, br": {"gzip,br", true}, "aws-chunked,aws-chunked": {"", true}, ",aws-chunked,": {"", true},
	} {
		if rest, found := s3req.DecodedEncoding(value); rest != want.rest || found != want.found {
			t.Errorf("%q: %q, %v", value, rest, found)
		}
	}
}
