//go:build linux

package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestUpstream_Rejects checks that the upstream does not accept what COS would not, or
// what shows an incorrect decoding.
func TestUpstream_Rejects(t *testing.T) {
	b, err := newTestbed(t.Context(), &settings{size: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	signed := "AWS4-HMAC-SHA256 Credential=" + secretID + "/20261123/r/s3/aws4_request, Signature=00"
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, tt := range []struct {
		name, method, path, authorization, body string
		want                                    int
	}{
		{"S3, signed", "GET", "/bench/s3/1024", signed, "", 200},
		{"S3, not signed", "GET", "/bench/s3/1024", "", "", 403},
		{"S3, the key of the client", "GET", "/bench/s3/1024", "AWS4-HMAC-SHA256 Credential=dummy/20261123/r/s3/aws4_request, Signature=00", "", 403},
		{"S3, signature of COS", "GET", "/bench/s3/1024", "q-sign-algorithm=sha1&q-ak=x", "", 403},
		{"COS, signature of S3", "GET", signedPath, signed, "", 403},
		{"upload", "PUT", "/bench/s3/7", signed, "content", 200},
		{"upload of another length", "PUT", "/bench/s3/7", signed, "7\r\ncontent\r\n", 400},
		{"upload of COS of another length", "PUT", "/bench/7", "", "contents", 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, b.url(plain)+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", tt.authorization)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, resp.StatusCode, tt.want)
		}
	}
}
