package cosemu_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

// TestAction_FirstSubresourceWins sends requests that select two sub-resources. COS
// uses the first one, at any place among the other parameters.
func TestAction_FirstSubresourceWins(t *testing.T) {
	tests := []struct{ request, action string }{
		{"GET /a?acl&uploadId=1", "GetObjectACL"},
		{"GET /a?uploadId=1&acl", "ListParts"},
		{"GET /a?max-parts=1&uploadId=1&acl", "ListParts"},
		{"PUT /a?partNumber=1&uploadId=1", "UploadPart"},
		{"PUT /a?uploadId=1&partNumber=1", "UploadPart"},
		{"PUT /a?acl&partNumber=1&uploadId=1", "PutObjectACL"},
		{"DELETE /a?tagging&uploadId=1", "DeleteObjectTagging"},
		{"GET /a?cors&acl", ""},
		{"GET /a?ACL", "GetObject"},
		{"GET /a?=x&acl", "GetObjectACL"},
		{"GET /?prefix=acl&uploads&acl", "ListMultipartUploads"},
		{"GET /?acl&uploads", "GetBucketACL"},
		{"GET /a/..?acl", "GetBucketACL"},
		{"POST /?delete&uploads", "DeleteMultipleObjects"},
		{"POST /?uploads&delete", ""},
		{"GET /?inventory", "ListBucketInventory"},
		{"GET /?inventory&id=1", "GetBucketInventory"},
		{"POST /?inventory&id=1", "PostBucketInventory"},
		{"DELETE /?cors", "DeleteBucketCORS"},
		{"HEAD /?cors", ""},
	}
	srv := start(t, cosemu.Options{})
	for _, tt := range tests {
		method, target, _ := strings.Cut(tt.request, " ")
		raw(t, srv.COSAddr(), method+" "+target+" HTTP/1.1\r\nHost: "+host1+"\r\n\r\n")
		requests := srv.Requests()
		if got := requests[len(requests)-1].Action; got != tt.action {
			t.Errorf("%s: %q, want %q", tt.request, got, tt.action)
		}
	}
}

// TestRequest_Unsupported sends fields that change the meaning of a request. The
// emulator must reject the request and must not change the object.
func TestRequest_Unsupported(t *testing.T) {
	srv := start(t, cosemu.Options{})
	put(t, sdk(t, srv, bucket1, longLived(srv)), "o", "body")
	client := httpClient(t, srv)
	tests := []struct{ request, field, body string }{
		{"GET /o?versionId=1", "", ""},
		{"HEAD /o?versionId=1", "", ""},
		{"DELETE /o?versionId=1", "", ""},
		{"PUT /o", "x-cos-forbid-overwrite: true", "other"},
		{"PUT /o", "x-cos-copy-source: " + host1 + "/o?versionId=1", "other"},
		{"POST /o?uploads", "x-cos-forbid-overwrite: true", ""},
		{"POST /?delete", "Content-MD5: ", "<Delete><Object><Key>o</Key></Object><Object><Key>o</Key><VersionId>1</VersionId></Object></Delete>"},
	}
	for _, tt := range tests {
		method, target, _ := strings.Cut(tt.request, " ")
		var fields []string
		if tt.field != "" {
			fields = []string{tt.field}
		}
		if tt.field == "Content-MD5: " {
			fields = []string{contentMD5Of(tt.body)}
		}
		a := do(t, client, request(t, longLived(srv), method, target, strings.NewReader(tt.body), fields...))
		if a.status != http.StatusNotImplemented {
			t.Errorf("%s %s: %d %s", tt.request, tt.field, a.status, a.code())
		}
	}
	if o, ok := srv.Object(bucket1, "o"); !ok || o.Size != int64(len("body")) {
		t.Errorf("the object is %+v, %t", o, ok)
	}
}
