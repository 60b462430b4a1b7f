package signer_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"cosproxy/signer"
)

func newSDKSigner() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // as the S3 client does
}

func sdkCredentials(creds signer.Credentials) aws.Credentials {
	return aws.Credentials{AccessKeyID: creds.SecretID, SecretAccessKey: creds.SecretKey, SessionToken: creds.Token}
}

// sdkFields returns the fields that aws-sdk-go-v2 adds to the same request.
func sdkFields(t testing.TB, h signer.S3Head, creds signer.Credentials, now time.Time) []signer.Field {
	t.Helper()
	req := sdkRequest(t, h)
	if err := newSDKSigner().SignHTTP(t.Context(), sdkCredentials(creds), req, h.PayloadHash, "s3", h.Region, now); err != nil {
		t.Fatal(err)
	}
	var all []signer.Field
	for _, name := range []string{"X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "Authorization"} {
		for _, value := range req.Header[name] {
			all = append(all, fields(name, value)...)
		}
	}
	return all
}

// sdkRequest returns h without the parts that the SDK signs differently.
func sdkRequest(t testing.TB, h signer.S3Head) *http.Request {
	t.Helper()
	path, err := url.PathUnescape(h.Path)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{
		Method: h.Method, Header: http.Header{"X-Amz-Content-Sha256": {h.PayloadHash}},
		// The SDK does not sign a pair with a raw ";", because url.Query drops it.
		URL: &url.URL{Path: path, RawPath: h.Path, RawQuery: strings.ReplaceAll(h.RawQuery, ";", "%3B")},
	}
	for _, f := range h.Fields {
		switch name := string(f.Name); {
		case name == "Host":
			req.Host = string(f.Value)
		case name == "Content-Length":
			if req.ContentLength, err = strconv.ParseInt(string(f.Value), 10, 64); err != nil {
				t.Fatal(err)
			}
		case isUnsignedS3(name): // the SDK signs every field except for those that it names
		default:
			req.Header[name] = append(req.Header[name], string(f.Value))
		}
	}
	return req
}

// isUnsignedS3 reports whether only the SDK signs a field. We leave out fields that
// intermediaries may change, and those that do not concern COS.
func isUnsignedS3(name string) bool {
	name = strings.ToLower(name)
	return !strings.HasPrefix(name, "x-amz-") && !strings.HasPrefix(name, "x-cos-") && !strings.HasPrefix(name, "x-ci-") &&
		!slices.Contains([]string{
			"cache-control", "content-disposition", "content-encoding", "content-language", "content-length", "content-md5",
			"content-type", "date", "expires", "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "range",
			"origin", "access-control-request-headers", "access-control-request-method", "pic-operations",
		}, name)
}

// FuzzS3AgainstSDK compares all fields of the signature with those of aws-sdk-go-v2.
func FuzzS3AgainstSDK(f *testing.F) {
	f.Add("GET", "test.txt", "", "Range", "bytes=0-9", "x-amz-acl", "private", "", "us-east-1", int64(0), int64(1369353600))
	f.Add("PUT", "目录/文件 名(腾讯云)'!*$.txt", "partNumber=1&uploadId=u%2B1", "Content-Type", "text/plain;  charset=utf-8", "Content-Md5", "mQ==", "t o/k=e+n", "ap-guangzhou", int64(5), int64(1700000000))
	f.Add("get", "/a//./b/../c", "prefix=a+b%2Bc&delimiter=%2F&marker=", "X-Amz-Meta-A", " v 1\t", "X-Amz-Meta-A", "v   0", "t", "r", int64(0), int64(86399))
	f.Add("DELETE", "a%2Fb+c\xff", "a-b=1&a%2Fb=2&a.b=3&a_b=4&a~b=5&a%20b=6&aB=7&a=-&a=%2F", "Date", "now", "User-Agent", "0", "t", "r", int64(0), int64(86400))
	f.Add("POST", "", "A=1&a=2&a=1&a=10&a=%7B&A=z", "Transfer-Encoding", "chunked", "Expect", "100-continue", "t", "r", int64(0), int64(253402300799))
	f.Add("HEAD", "x", "a=1;b=2&c;d", "x-amzn-trace-id", "0", "x-amz-Meta-%|'", "\xff", "t", "r", int64(0), int64(1))
	f.Add("GET", "x", "=v&==&%3D=&&x%2DAmz-date=1", "X-Amz-Date", "x", "authorization", "x", "t", "", int64(0), int64(0))
	var s signer.S3Signer
	f.Fuzz(func(t *testing.T, method, key, query, name1, value1, name2, value2, token, region string, length, unix int64) {
		if !isToken(method) || !isToken(name1) || !isToken(name2) || unix < 0 || unix > 253402300799 ||
			name1 != name2 && strings.EqualFold(name1, name2) { // the SDK joins their values in the order of a map
			return
		}
		for _, name := range []string{name1, name2} {
			switch strings.ToLower(name) {
			case "host", "content-length": // parts of http.Request
				return
			}
		}
		for _, value := range []string{value1, value2, token} {
			if strings.TrimSpace(value) != strings.Trim(value, " \t") {
				return // the SDK trims what is not a blank in HTTP
			}
		}
		h := signer.S3Head{
			Method: method, Path: string(signer.AppendS3Path(nil, "/"+key)), RawQuery: query, Region: region,
			PayloadHash: signer.UnsignedPayload, Fields: fields("Host", bucketHost, name1, value1, name2, value2),
		}
		if want := httpbinding.EscapePath("/"+key, false); h.Path != want {
			t.Errorf("path %q, want %q", h.Path, want)
		}
		if length > 0 {
			h.Fields = append(h.Fields, fields("Content-Length", strconv.FormatInt(length, 10))...)
		}
		creds := signer.Credentials{SecretID: "AKIDexample", SecretKey: "the-secret-key", Token: token}
		got, _, err := s.AppendFields(nil, nil, h, creds, time.Unix(unix, 0))
		if refused := region == "" || isRefusedS3(query, name1, name2); (err != nil) != refused || err != nil && !errors.Is(err, signer.ErrRequest) {
			t.Fatalf("error %v, want an error: %t", err, refused)
		}
		if err != nil {
			return
		}
		if want := sdkFields(t, h, creds, time.Unix(unix, 0)); !equalFields(got, want) {
			t.Errorf("\n ours %q\n  SDK %q", got, want)
		}
	})
}

// isRefusedS3 reports, with independent code, whether signing must fail: the query cannot be
// sent, or the request has a part of a signature.
func isRefusedS3(query string, names ...string) bool {
	if unsendable(query) {
		return true
	}
	for _, name := range names {
		switch strings.ToLower(name) {
		case "authorization", "x-cos-security-token", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires",
			"x-amz-signedheaders", "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256":
			return true
		}
	}
	params, _ := url.ParseQuery(strings.ReplaceAll(query, ";", "%3B"))
	for name := range params {
		switch strings.ToLower(name) {
		case "awsaccesskeyid", "signature", "expires", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires",
			"x-amz-signedheaders", "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256":
			return true
		}
	}
	return false
}

// FuzzS3Path checks that only canonical paths are signed: those that do not change if they are
// decoded and encoded again.
func FuzzS3Path(f *testing.F) {
	for _, seed := range []string{"/", "", "a", "/a%20b", "/a b", "/%e4", "/%E4", "/%41", "/%2F", "//../", "/%", "/%2", "/%G0", "/?", "/#", "/\x00"} {
		f.Add(seed)
	}
	var s signer.S3Signer
	f.Fuzz(func(t *testing.T, path string) {
		decoded, err := url.PathUnescape(path)
		canonical := err == nil && strings.HasPrefix(path, "/") && httpbinding.EscapePath(decoded, false) == path
		h := s3Head()
		h.Path = path
		if _, _, err := s.AppendFields(nil, nil, h, tempCreds, now); (err == nil) != canonical {
			t.Errorf("%q: %v, canonical: %t", path, err, canonical)
		}
	})
}
