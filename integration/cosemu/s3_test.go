package cosemu_test

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// v4Options are the parts of an AWS signature that a test can change.
type v4Options struct {
	at       time.Time
	region   string
	date     string // of the credential scope
	service  string
	unsigned []string // header names that are left out
	payload  string   // default: the hash of the body
	expires  int      // of a presigned URL, in seconds; 0 means a signature in the header
}

// signV4 signs r, whose body is body, with AWS Signature Version 4.
func signV4(r *http.Request, creds clientCredentials, body string, o v4Options) {
	at := o.at
	if at.IsZero() {
		at = time.Now()
	}
	stamp := at.UTC().Format("20060102T150405Z")
	scope := cmp.Or(o.date, stamp[:8]) + "/" + cmp.Or(o.region, region) + "/" + cmp.Or(o.service, "s3") + "/aws4_request"
	payload := cmp.Or(o.payload, hexOf(body))
	if o.expires == 0 {
		r.Header.Set("X-Amz-Date", stamp)
		r.Header.Set("X-Amz-Content-Sha256", payload)
		if creds.token != "" {
			r.Header.Set("X-Amz-Security-Token", creds.token)
		}
	} else if payload = "UNSIGNED-PAYLOAD"; creds.token != "" {
		addQuery(r, "X-Amz-Security-Token", creds.token)
	}
	names := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); lower != "user-agent" && !slices.Contains(o.unsigned, lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	list := strings.Join(names, ";")
	if o.expires != 0 {
		addQuery(r, "X-Amz-Algorithm", "AWS4-HMAC-SHA256", "X-Amz-Credential", creds.id+"/"+scope, "X-Amz-Date", stamp,
			"X-Amz-Expires", fmt.Sprint(o.expires), "X-Amz-SignedHeaders", list)
	}
	text := r.Method + "\n" + r.URL.EscapedPath() + "\n" + strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20") + "\n"
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.URL.Host
		}
		text += name + ":" + value + "\n"
	}
	text = "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hexOf(text+"\n"+list+"\n"+payload)
	key := []byte("AWS4" + creds.secretKey)
	for _, part := range append(strings.Split(scope, "/"), text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if signature := hex.EncodeToString(key); o.expires != 0 {
		addQuery(r, "X-Amz-Signature", signature)
	} else {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+creds.id+"/"+scope+", SignedHeaders="+list+", Signature="+signature)
	}
}

func addQuery(r *http.Request, pairs ...string) {
	query := r.URL.Query()
	for i := 0; i < len(pairs); i += 2 {
		query.Add(pairs[i], pairs[i+1])
	}
	r.URL.RawQuery = query.Encode()
}

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// unsigned returns a request to host1 with the header fields ("Name: value").
func unsigned(t testing.TB, method, target, body string, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+host1+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// s3Request returns a request that is signed for S3.
func s3Request(t testing.TB, creds clientCredentials, method, target, body string, fields ...string) *http.Request {
	t.Helper()
	r := unsigned(t, method, target, body, fields...)
	signV4(r, creds, body, v4Options{})
	return r
}

// stored returns a header field in the metadata of an object, or "".
func stored(srv *cosemu.Server, key, name string) string {
	o, _ := srv.Object(bucket1, key)
	return strings.Join(o.Header[name], ",")
}

func TestS3_Signature(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	temporary := issue(t, srv, policyOf([]string{"name/cos:*"}, []string{"*"}))
	now := time.Now()
	tests := []struct {
		name   string
		sign   v4Options
		change func(r *http.Request) // after signing
		status int
		code   string
	}{
		{"valid", v4Options{}, nil, 404, "NoSuchKey"},
		{"unsigned payload", v4Options{payload: "UNSIGNED-PAYLOAD"}, nil, 404, "NoSuchKey"},
		{"14 minutes late", v4Options{at: now.Add(-14 * time.Minute)}, nil, 404, "NoSuchKey"},
		{"14 minutes ahead", v4Options{at: now.Add(14 * time.Minute)}, nil, 404, "NoSuchKey"},
		{"16 minutes late", v4Options{at: now.Add(-16 * time.Minute)}, nil, 403, "RequestTimeTooSkewed"},
		{"16 minutes ahead", v4Options{at: now.Add(16 * time.Minute)}, nil, 403, "RequestTimeTooSkewed"},
		{"other region", v4Options{region: "ap-beijing"}, nil, 400, "AuthorizationHeaderMalformed"},
		{"other date", v4Options{date: "20130524"}, nil, 400, "AuthorizationHeaderMalformed"},
		{"other service", v4Options{service: "sts"}, nil, 400, "AuthorizationHeaderMalformed"},
		{"metadata unsigned", v4Options{unsigned: []string{"x-amz-meta-a"}}, nil, 403, "AccessDenied x-amz-meta-a"},
		{"token unsigned", v4Options{unsigned: []string{"x-amz-security-token"}}, nil, 403, "AccessDenied x-amz-security-token"},
		{"hash unsigned", v4Options{unsigned: []string{"x-amz-content-sha256"}}, nil, 403, "AccessDenied x-amz-content-sha256"},
		{"Content-Type unsigned", v4Options{unsigned: []string{"content-type"}}, nil, 403, "AccessDenied content-type"},
		{"Content-MD5 unsigned", v4Options{unsigned: []string{"content-md5"}}, nil, 403, "AccessDenied content-md5"},
		{"header added", v4Options{}, func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, 403, "AccessDenied x-amz-acl"},
		{"header changed", v4Options{}, func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "2") }, 403, "SignatureDoesNotMatch"},
		{"header removed", v4Options{}, func(r *http.Request) { r.Header.Del("X-Amz-Meta-A") }, 403, "SignatureDoesNotMatch"},
		{"path changed", v4Options{}, func(r *http.Request) { r.URL.Path = "/p" }, 403, "SignatureDoesNotMatch"},
		{"parameter added", v4Options{}, func(r *http.Request) { r.URL.RawQuery = "acl" }, 403, "SignatureDoesNotMatch"},
		{"host changed", v4Options{}, func(r *http.Request) { r.Host = strings.Replace(host1, bucket1, bucket2, 1) }, 403, "SignatureDoesNotMatch"},
		{"method changed", v4Options{}, func(r *http.Request) { r.Method = "DELETE" }, 403, "SignatureDoesNotMatch"},
		{"no hash", v4Options{}, func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, 400, "InvalidRequest"},
		{"no date", v4Options{}, func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 403, "AccessDenied"},
		{"invalid hash", v4Options{payload: "abc"}, nil, 400, "InvalidArgument"},
		{"hash of another body", v4Options{payload: hexOf("x")}, nil, 400, "XAmzContentSHA256Mismatch"},
		{"streaming payload", v4Options{payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, nil, 400, "NotImplemented"},
		{"two signatures", v4Options{}, func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, 400, "AuthorizationHeaderMalformed"},
		{"signature of COS too", v4Options{}, func(r *http.Request) { r.URL.RawQuery = "q-signature=1" }, 400, "InvalidArgument"},
		{"presigned too", v4Options{}, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=1" }, 400, "InvalidArgument"},
		{"token in the query", v4Options{}, func(r *http.Request) { addQuery(r, "X-Amz-Security-Token", "x") }, 400, "InvalidArgument"},
		{"version 2", v4Options{}, func(r *http.Request) { r.Header.Set("Authorization", "AWS id:signature") }, 501, "NotImplemented"},
		{"version 2 in the query", v4Options{}, func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "AWSAccessKeyId=x&Signature=y&Expires=1"
		}, 501, "NotImplemented"},
		{"algorithm", v4Options{}, func(r *http.Request) { r.Header.Set("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=x") }, 400, "AuthorizationHeaderMalformed"},
		{"presigned", v4Options{expires: 60}, nil, 404, "NoSuchKey"},
		{"presigned, 1 hour later", v4Options{expires: 3601, at: now.Add(-time.Hour)}, nil, 404, "NoSuchKey"},
		{"presigned, expired", v4Options{expires: 60, at: now.Add(-61 * time.Second)}, nil, 403, "AccessDenied"},
		{"presigned, ahead", v4Options{expires: 60, at: now.Add(16 * time.Minute)}, nil, 403, "RequestTimeTooSkewed"},
		{"presigned for 8 days", v4Options{expires: 8 * 24 * 3600}, nil, 400, "AuthorizationQueryParametersError"},
		{"presigned, metadata unsigned", v4Options{expires: 60, unsigned: []string{"x-amz-meta-a"}}, nil, 403, "AccessDenied x-amz-meta-a"},
		{"presigned, token removed", v4Options{expires: 60}, func(r *http.Request) {
			query := r.URL.Query()
			query.Del("X-Amz-Security-Token")
			r.URL.RawQuery = query.Encode()
		}, 403, "SignatureDoesNotMatch"},
		{"presigned, token twice", v4Options{expires: 60}, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, 400, "AuthorizationQueryParametersError"},
		{"presigned, other key", v4Options{expires: 60}, func(r *http.Request) { r.URL.Path = "/p" }, 403, "SignatureDoesNotMatch"},
		{"presigned, longer", v4Options{expires: 60}, func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=60", "Expires=61", 1)
		}, 403, "SignatureDoesNotMatch"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := unsigned(t, "GET", "/o", "", "X-Amz-Meta-A: 1", "Content-Type: text/plain", contentMD5Of(""))
			signV4(r, temporary, "", test.sign)
			if test.change != nil {
				test.change(r)
			}
			a := do(t, client, r)
			code, named, _ := strings.Cut(test.code, " ")
			if a.status != test.status || a.code() != code || !strings.Contains(a.body, named) {
				t.Errorf("got %d, want %d %s\n%s", a.status, test.status, test.code, a.body)
			}
		})
	}
}

func TestS3_Credentials(t *testing.T) {
	now := time.Now()
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	client := httpClient(t, srv)
	allowed := policyOf([]string{"name/cos:*"}, []string{"*"})
	creds, revoked, other := issue(t, srv, allowed), issue(t, srv, allowed), issue(t, srv, allowed)
	srv.Revoke(revoked.id)
	withToken := func(token string) clientCredentials { return clientCredentials{creds.id, creds.secretKey, token} }
	check := func(name string, creds clientCredentials, status int, code string) {
		t.Helper()
		r := unsigned(t, "GET", "/o", "")
		signV4(r, creds, "", v4Options{at: now})
		if a := do(t, client, r); a.status != status || a.code() != code {
			t.Errorf("%s: got %d %s, want %d %s", name, a.status, a.code(), status, code)
		}
	}
	check("temporary", creds, 404, "NoSuchKey")
	check("long-lived", longLived(srv), 404, "NoSuchKey")
	check("long-lived with a token", clientCredentials{srv.SecretID(), srv.SecretKey(), "x"}, 400, "InvalidToken")
	check("no token", withToken(""), 400, "InvalidToken")
	check("token of others", withToken(other.token), 400, "InvalidToken")
	check("other SecretKey", clientCredentials{creds.id, other.secretKey, creds.token}, 403, "SignatureDoesNotMatch")
	check("revoked", revoked, 403, "InvalidAccessKeyId")
	now = now.Add(13 * time.Hour)
	check("expired", creds, 400, "ExpiredToken")
}

func TestS3_Payload(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	const tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
	const deletion = "<Delete><Object><Key>kept</Key></Object></Delete>"
	if a := do(t, client, s3Request(t, longLived(srv), "PUT", "/kept", "kept")); a.status != 200 {
		t.Fatal(a.body)
	}
	tests := []struct {
		name, method, target, body string
		fields                     []string
		payload, code              string
	}{
		{"hash", "PUT", "/o", "body", nil, "", ""},
		{"unsigned", "PUT", "/o", "body", nil, "UNSIGNED-PAYLOAD", ""},
		{"large, other hash", "PUT", "/new", strings.Repeat("x", 1<<20), nil, hexOf("x"), "XAmzContentSHA256Mismatch"},
		{"other hash", "PUT", "/new", "body", nil, hexOf("x"), "XAmzContentSHA256Mismatch"},
		{"empty, other hash", "PUT", "/new", "", nil, hexOf("x"), "XAmzContentSHA256Mismatch"},
		{"tagging, other hash", "PUT", "/kept?tagging=", tagging, nil, hexOf("x"), "XAmzContentSHA256Mismatch"},
		{"deletion, other hash", "POST", "/?delete=", deletion, []string{contentMD5Of(deletion)}, hexOf("x"), "XAmzContentSHA256Mismatch"},
		{"copy, other hash", "PUT", "/new", "", []string{"X-Amz-Copy-Source: " + bucket1 + "/kept"}, hexOf("x"), "XAmzContentSHA256Mismatch"},
		{"DELETE, other hash", "DELETE", "/kept", "", nil, hexOf("x"), "XAmzContentSHA256Mismatch"},
		{"upper case", "PUT", "/new", "body", nil, strings.ToUpper(hexOf("body")), "InvalidArgument"},
		{"trailer", "PUT", "/new", "body", []string{"X-Amz-Trailer: x-amz-checksum-crc32"}, "", "NotImplemented"},
		{"decoded length", "PUT", "/new", "body", []string{"X-Amz-Decoded-Content-Length: 4"}, "", "NotImplemented"},
		{"aws-chunked", "PUT", "/new", "body", []string{"Content-Encoding: gzip, aws-chunked"}, "", "NotImplemented"},
		{"streaming trailer", "PUT", "/new", "body", nil, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "NotImplemented"},
		{"checksum is ignored", "PUT", "/o", "body", []string{"X-Amz-Checksum-Crc32: AAAAAA=="}, "", ""},
		{"other MD5", "PUT", "/new", "body", []string{contentMD5Of("x")}, "", "BadDigest"},
		{"deletion without MD5", "POST", "/?delete=", deletion, nil, "", "InvalidRequest"},
		{"deletion, other MD5", "POST", "/?delete=", deletion, []string{contentMD5Of("x")}, "", "BadDigest"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := unsigned(t, test.method, test.target, test.body, test.fields...)
			signV4(r, longLived(srv), test.body, v4Options{payload: test.payload})
			a := do(t, client, r)
			if a.code() != test.code || a.status >= 300 != (test.code != "") {
				t.Errorf("got %d, want %s\n%s", a.status, test.code, a.body)
			}
			if _, stored := srv.Object(bucket1, "new"); stored {
				t.Error("the object is stored")
			}
			if _, kept := srv.Object(bucket1, "kept"); !kept {
				t.Error("the object is deleted")
			}
			for name := range a.header {
				if strings.HasPrefix(name, "X-Amz-Checksum-") {
					t.Errorf("the response has %s", name)
				}
			}
		})
	}
}

func TestS3_Headers(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	c := sdk(t, srv, bucket1, longLived(srv))
	a := do(t, client, s3Request(t, longLived(srv), "PUT", "/s3", "body", "X-Amz-Meta-A: 1", "X-Amz-Storage-Class: STANDARD_IA",
		"X-Amz-Tagging: t=1", "X-Amz-Acl: public-read", "X-Amz-Website-Redirect-Location: /x"))
	if a.status != 200 || a.header.Get("x-amz-request-id") == "" || a.header.Get("x-amz-request-id") != a.header.Get("x-cos-request-id") || a.header.Get("x-cos-hash-crc64ecma") == "" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	_, resp := get(t, c, "s3", nil)
	if h := resp.Header; h.Get("x-cos-meta-a") != "1" || h.Get("x-cos-storage-class") != "STANDARD_IA" || h.Get("x-cos-tagging-count") != "1" || h.Get("x-amz-request-id") != "" {
		t.Errorf("read by COS: %v", h)
	}
	_, err := c.Object.Put(t.Context(), "cos", strings.NewReader("body"), &cos.ObjectPutOptions{
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{XCosMetaXXX: &http.Header{"X-Cos-Meta-A": {"2"}}, XCosStorageClass: "STANDARD_IA"},
	})
	if err != nil {
		t.Fatal(err)
	}
	a = do(t, client, s3Request(t, longLived(srv), "GET", "/cos", ""))
	if a.body != "body" || a.header.Get("x-amz-meta-a") != "2" || a.header.Get("x-amz-storage-class") != "STANDARD_IA" || a.header.Get("x-cos-meta-a") != "" || a.header.Get("x-cos-hash-crc64ecma") == "" {
		t.Errorf("read by S3: %v %s", a.header, a.body)
	}
	// In COS's dialect, names of S3 mean nothing.
	a = do(t, client, request(t, longLived(srv), "PUT", "/cos2", strings.NewReader("body"), "X-Amz-Meta-A: 3", "X-Amz-Copy-Source: "+bucket1+"/s3"))
	if o, _ := srv.Object(bucket1, "cos2"); a.status != 200 || o.Size != 4 || stored(srv, "cos2", "x-cos-meta-a") != "" {
		t.Errorf("%d %v", a.status, o)
	}
	a = do(t, client, request(t, longLived(srv), "GET", "/?list-type=2&start-after=s", nil))
	if !strings.Contains(a.body, "<Key>cos</Key>") || strings.Contains(a.body, "KeyCount") {
		t.Errorf("list-type has a meaning at COS: %s", a.body)
	}
	for field, code := range map[string]string{
		"X-Cos-Acl: private": "InvalidArgument", "X-Amz-Acl: secret": "InvalidArgument", "X-Amz-Copy-Source: x": "InvalidArgument",
		"X-Amz-Metadata-Directive: Replaced": "InvalidArgument", "X-Amz-Object-Lock-Mode: GOVERNANCE": "NotImplemented",
		"X-Amz-Expected-Bucket-Owner: 1": "NotImplemented", "If-None-Match: *": "NotImplemented",
	} {
		if a := do(t, client, s3Request(t, longLived(srv), "PUT", "/refused", "", field)); a.code() != code {
			t.Errorf("%s: got %d %s, want %s", field, a.status, a.code(), code)
		}
	}
	for _, target := range []string{"/s3?attributes=", "/s3?torrent=", "/s3?partNumber=1", "/?session=", "/?policyStatus="} {
		if a := do(t, client, s3Request(t, longLived(srv), "GET", target, "")); a.status != 501 {
			t.Errorf("%s: %d", target, a.status)
		}
	}
}

// TestS3_PresignedHeaders checks that parameters of a presigned URL count as headers.
func TestS3_PresignedHeaders(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	for code, fields := range map[string][]string{"": nil, "InvalidArgument": {"X-Amz-Acl: private"}} {
		r := unsigned(t, "PUT", "/o?x-amz-acl=public-read&x-amz-meta-a=1", "body", fields...)
		signV4(r, longLived(srv), "", v4Options{expires: 60})
		if a := do(t, client, r); a.code() != code {
			t.Errorf("%v: got %d, want %s\n%s", fields, a.status, code, a.body)
		}
	}
	if acl, meta := stored(srv, "o", "x-cos-acl"), stored(srv, "o", "x-cos-meta-a"); acl != "public-read" || meta != "1" {
		t.Errorf("ACL %q, metadata %q", acl, meta)
	}
}

func TestS3_ListObjectsV2(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	c := sdk(t, srv, bucket1, longLived(srv))
	for _, key := range []string{"a", "b/1", "b/2", "c d", "e"} {
		put(t, c, key, "x")
	}
	list := func(query string) string {
		t.Helper()
		a := do(t, client, s3Request(t, longLived(srv), "GET", "/?"+query, ""))
		if a.status != 200 {
			return a.code()
		}
		var page struct {
			KeyCount              int
			IsTruncated           bool
			NextContinuationToken string
			Contents              []struct{ Key string }
			CommonPrefixes        []struct{ Prefix string }
		}
		if err := xml.Unmarshal([]byte(a.body), &page); err != nil {
			t.Fatal(err)
		}
		if page.IsTruncated != (page.NextContinuationToken != "") {
			t.Errorf("%s: %+v", query, page)
		}
		return fmt.Sprint(page.KeyCount, page.Contents, page.CommonPrefixes, page.NextContinuationToken)
	}
	for query, want := range map[string]string{
		"list-type=2": "5 [{a} {b/1} {b/2} {c d} {e}] []",
		"delimiter=%2F&encoding-type=url&list-type=2":         "4 [{a} {c%20d} {e}] [{b%2F}]",
		"delimiter=%2F&list-type=2&max-keys=2":                "2 [{a}] [{b/}]Yi8=",
		"continuation-token=Yi8%3D&delimiter=%2F&list-type=2": "2 [{c d} {e}] []",
		"continuation-token=Yi8x&list-type=2&start-after=e":   "3 [{b/2} {c d} {e}] []",
		"list-type=2&start-after=b%2F2":                       "2 [{c d} {e}] []",
		"list-type=2&max-keys=0":                              "0 [] []",
		"list-type=1":                                         "InvalidArgument",
		"continuation-token=&list-type=2":                     "InvalidArgument",
		"continuation-token=%21&list-type=2":                  "InvalidArgument",
		"encoding-type=base64&list-type=2":                    "InvalidArgument",
	} {
		if got := strings.TrimSpace(list(query)); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

func TestS3_CopySource(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	put(t, sdk(t, srv, bucket1, longLived(srv)), "dir/a b+c", "body")
	for source, status := range map[string]int{
		bucket1 + "/dir/a%20b%2Bc": 200, "/" + bucket1 + "/dir/a%20b%2Bc": 200, "/" + bucket1 + "/dir%2Fa%20b%2Bc": 200,
		"%2F" + bucket1 + "%2Fdir%2Fa%20b%2Bc": 200, bucket1 + "/dir/a+b%2Bc": 200,
		bucket1 + "/dir/a%20b%2Bc?versionId=1": 501, bucket1 + "/none": 404, "none-1250000000/dir": 404,
		bucket1: 400, "/": 400, "/" + bucket1 + "/": 400, host1 + "/dir/a%20b%2Bc": 404,
	} {
		a := do(t, client, s3Request(t, longLived(srv), "PUT", "/copy", "", "X-Amz-Copy-Source: "+source))
		if a.status != status {
			t.Errorf("%s: got %d, want %d\n%s", source, a.status, status, a.body)
		}
	}
}

func TestS3_Policy(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "in/a", "x")
	const deletion = "<Delete><Object><Key>in/a</Key></Object><Object><Key>out/a</Key></Object></Delete>"
	tests := []struct {
		actions              string
		method, target, body string
		fields               []string
		status               int
		code                 string // in the body
	}{
		{"GetBucket", "GET", "/?list-type=2&prefix=in/", "", nil, 200, ""},
		{"GetObject", "GET", "/?list-type=2&prefix=in/", "", nil, 403, "AccessDenied"},
		{"GetBucket", "GET", "/?list-type=2&prefix=out/", "", nil, 403, "AccessDenied"},
		{"GetObject", "GET", "/in/a", "", nil, 200, ""},
		{"GetObject", "GET", "/out/a", "", nil, 403, "AccessDenied"},
		{"PutObject", "PUT", "/in/b", "", []string{"X-Amz-Copy-Source: " + bucket1 + "/in/a"}, 403, "AccessDenied"},
		{"PutObject GetObject", "PUT", "/in/b", "", []string{"X-Amz-Copy-Source: " + bucket1 + "/in/a"}, 200, ""},
		{"PutObject GetObject", "PUT", "/in/b", "", []string{"X-Amz-Copy-Source: " + bucket1 + "/out/a"}, 403, "AccessDenied"},
		{"PutObjectACL", "PUT", "/in/a?acl=", "", []string{"X-Amz-Acl: private"}, 200, ""},
		{"DeleteObject", "POST", "/?delete=", deletion, []string{contentMD5Of(deletion)}, 200, "AccessDenied"},
	}
	for _, test := range tests {
		actions := strings.Fields(test.actions)
		for i, action := range actions {
			actions[i] = "name/cos:" + action
		}
		creds := issue(t, srv, policyOf(actions, []string{resource(bucket1 + "/in/*")}))
		a := do(t, client, s3Request(t, creds, test.method, test.target, test.body, test.fields...))
		if a.status != test.status || a.code() != test.code {
			t.Errorf("%s allows %s %s %v: got %d, want %d %s\n%s", test.actions, test.method, test.target, test.fields, a.status, test.status, test.code, a.body)
		}
	}
}

func TestS3_PathStyle(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	for _, host := range []string{"cos." + region + ".myqcloud.com", "service.cos.myqcloud.com"} {
		r := unsigned(t, "GET", "/", "")
		r.URL = &url.URL{Scheme: "http", Host: host, Path: "/" + bucket1 + "/o"}
		r.Host = host
		signV4(r, longLived(srv), "", v4Options{})
		if a := do(t, client, r); a.status != 403 || a.code() != "PathStyleDomainForbidden" {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
	}
}

func TestS3_SignatureError(t *testing.T) {
	srv := start(t, cosemu.Options{})
	r := s3Request(t, longLived(srv), "GET", "/o", "")
	r.URL.Path = "/p"
	a := do(t, httpClient(t, srv), r)
	if !strings.Contains(a.body, "<CanonicalRequest>GET&#xA;/p") || !strings.Contains(a.body, "<StringToSign>AWS4-HMAC-SHA256&#xA;") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestS3_Record(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	for _, r := range []*http.Request{
		s3Request(t, longLived(srv), "PUT", "/o", "body", "X-Amz-Meta-A: 1"),
		request(t, longLived(srv), "PUT", "/o", io.NopCloser(strings.NewReader("body"))),
		unsigned(t, "GET", "/o", ""),
	} {
		do(t, client, r)
	}
	got := srv.Requests()
	if got[0].Dialect != cosemu.DialectS3 || got[0].Header.Get("X-Amz-Meta-A") != "1" || got[0].Header.Get("X-Cos-Meta-A") != "" {
		t.Errorf("%+v", got[0])
	}
	if got[1].Dialect != cosemu.DialectCOS || got[2].Dialect != cosemu.DialectCOS {
		t.Errorf("%+v", got[1:])
	}
}
