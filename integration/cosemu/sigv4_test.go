package cosemu

import (
	"bufio"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// TestV4_PublishedExamples checks the canonical requests and signatures of Amazon's
// examples ("Examples: Signature Calculations" and "Authenticating Requests: Using Query
// Parameters", Amazon S3 API Reference).
func TestV4_PublishedExamples(t *testing.T) {
	const (
		secretKey  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
		credential = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
		empty      = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		rest       = "Host: examplebucket.s3.amazonaws.com\r\nx-amz-date: 20130524T000000Z\r\n"
		ofNothing  = "x-amz-content-sha256: " + empty + "\r\n"
	)
	tests := []struct {
		name, head, canonicalHash string
	}{
		{"GET Object", "GET /test.txt HTTP/1.1\r\n" + rest + ofNothing + "Range: bytes=0-9\r\nAuthorization: " + credential +
			"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
			"7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"},
		{"PUT Object", "PUT /test%24file.text HTTP/1.1\r\n" + rest + "Date: Fri, 24 May 2013 00:00:00 GMT\r\n" +
			"x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\r\n" +
			"x-amz-storage-class: REDUCED_REDUNDANCY\r\nAuthorization: " + credential +
			"SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			"9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d"},
		{"GET Bucket lifecycle", "GET /?lifecycle HTTP/1.1\r\n" + rest + ofNothing + "Authorization: " + credential +
			"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
			"9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca"},
		{"List Objects", "GET /?max-keys=2&prefix=J HTTP/1.1\r\n" + rest + ofNothing + "Authorization: " + credential +
			"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
			"df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7"},
		{"presigned URL", "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com",
			"3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(test.head + "\r\n\r\n")))
			if err != nil {
				t.Fatal(err)
			}
			target, err := parseTarget(r.RequestURI)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := parseV4(r, target.query)
			if err != nil {
				t.Fatal(err)
			}
			canonical, err := sig.canonicalRequest(r, target.path, target.query)
			if err != nil {
				t.Fatal(err)
			}
			if got := hexSHA256(canonical); got != test.canonicalHash {
				t.Errorf("the canonical request has the hash %s, want %s:\n%s", got, test.canonicalHash, canonical)
			}
			if got := v4Sign(secretKey, sig.scope, sig.stringToSign(canonical)); got != sig.signature {
				t.Errorf("signature %s, want %s", got, sig.signature)
			}
			if sig.secretID != "AKIAIOSFODNN7EXAMPLE" || sig.checkScope("us-east-1") != nil || sig.checkScope("us-west-1") == nil {
				t.Errorf("%+v", sig)
			}
		})
	}
}

// TestV4_PublishedForm checks Amazon's example of a form ("Example: Browser-Based Upload
// using HTTP POST", Amazon S3 API Reference).
func TestV4_PublishedForm(t *testing.T) {
	const policy = `{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}`
	text := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(policy, "\n", "\r\n")))
	const want = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
	if got := v4Sign("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20151229/us-east-1/s3/aws4_request", text); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// TestV4_CanonicalRequest checks the encodings that Amazon's examples do not show.
func TestV4_CanonicalRequest(t *testing.T) {
	tests := []struct{ name, target, header, want string }{
		{"path", "/a%2Fb//c/../%e4%B8%ad+%2B%20~*'()", "", "GET\n/a/b//c/../%E4%B8%AD%2B%2B%20~%2A%27%28%29\n\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"},
		{"query order", "/?b=2&a=b&a=a&A=1&a-b=1&a%20b=", "", "GET\n/\nA=1&a=a&a=b&a%20b=&a-b=1&b=2\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"},
		{"query encoding", "/?delimiter=/&prefix=a+b%2Bc&uploads", "", "GET\n/\ndelimiter=%2F&prefix=a%20b%2Bc&uploads=\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"},
		{"header values", "/", "x-amz-meta-a:   two   words  \r\nX-Amz-Meta-A: 2\r\n", "GET\n/\n\nhost:h\nx-amz-meta-a:two words,2\n\nhost;x-amz-meta-a\nUNSIGNED-PAYLOAD"},
		{"unsorted list", "/", "x-amz-date: 1\r\n", ""},
		{"no host", "/", "x-amz-meta-a: 1\r\n", ""},
		{"header that is missing", "/", "", ""},
		{"upper case", "/", "x-amz-meta-a: 1\r\n", ""},
	}
	lists := map[string]string{
		"header values": "host;x-amz-meta-a", "unsorted list": "x-amz-date;host", "no host": "x-amz-meta-a",
		"header that is missing": "host;x-amz-meta-b", "upper case": "X-Amz-Meta-A;host",
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + test.target + " HTTP/1.1\r\nHost: h\r\n" + test.header + "\r\n")))
			if err != nil {
				t.Fatal(err)
			}
			target, err := parseTarget(r.RequestURI)
			if err != nil {
				t.Fatal(err)
			}
			sig := v4Signature{signedHeaders: lists[test.name], payload: unsignedPayload}
			if sig.signedHeaders == "" {
				sig.signedHeaders = "host"
			}
			got, err := sig.canonicalRequest(r, target.path, target.query)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v\nwant %q", got, err, test.want)
			}
		})
	}
}
