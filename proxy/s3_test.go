package proxy_test

import (
	"net/http"
	"strings"
	"testing"
)

// Signatures of S3 clients are replaced; unsupported S3 features are rejected.
func TestS3_ClientsWork(t *testing.T) {
	r := start(t, setup{})
	rep := r.exchange(t, "PUT /key?X-Amz-Signature=client HTTP/1.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=client\r\n"+
		"X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nX-Amz-Date: client\r\nX-Amz-Security-Token: client\r\nx-amz-meta-a: 1\r\nContent-Length: 4\r\n\r\ntest")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	a := r.upstream.only(t)
	if strings.Contains(a.head, "client") || a.Header["X-Amz-Meta-A"] != nil || a.target() != "/key" {
		t.Errorf("arrived as\n%s", a.head)
	}
}

func TestS3_UnsupportedRejected(t *testing.T) {
	r := start(t, setup{})
	for header, says := range map[string]string{
		"Content-Encoding: aws-chunked":                              "aws-chunked",
		"Content-Encoding: gzip\r\nContent-Encoding: AWS-Chunked":    "aws-chunked",
		"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD":   "STREAMING-",
		"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER":   "STREAMING-",
		"x-amz-copy-source: /" + bucket + "/key":                     "x-cos-copy-source",
		"x-amz-copy-source:\r\nx-amz-copy-source: /b-1250000000/key": "x-cos-copy-source",
	} {
		rep := r.exchange(t, "PUT /key HTTP/1.1\r\n"+header+"\r\nContent-Length: 4\r\n\r\ntest")
		if doc := r.refused(t, rep, http.StatusNotImplemented, "NotImplemented"); !strings.Contains(doc.Message, says) {
			t.Errorf("%s: %s", header, doc.Message)
		}
	}
}
