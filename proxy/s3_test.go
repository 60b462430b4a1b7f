package proxy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

// now is a time in the form of X-Amz-Date.
func amzDate(at time.Time) string { return at.UTC().Format("20060102T150405Z") }

// presigned returns the parameters of a presigned URL of Version 4.
func presigned(at time.Time, seconds int) string {
	return fmt.Sprintf("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=dummy%%2F20261129%%2Fus-east-1%%2Fs3%%2Faws4_request&X-Amz-Date=%s"+
		"&X-Amz-Expires=%d&X-Amz-SignedHeaders=host&X-Amz-Signature=00", amzDate(at), seconds)
}

// presignedV2 returns the parameters of a presigned URL of Version 2.
func presignedV2(until time.Time) string {
	return fmt.Sprintf("AWSAccessKeyId=dummy&Signature=00&Expires=%d", until.Unix())
}

func TestDialect_Detection(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name, target, header string
		s3                   bool
	}{
		{"unsigned", "/key", "", false},
		{"COS", "/key", "Authorization: q-sign-algorithm=sha1&q-ak=dummy\r\n", false},
		{"presigned by COS", "/key?q-sign-algorithm=sha1&q-ak=dummy&q-signature=00", "", false},
		{"a client token", "/key", "Authorization: Bearer token\r\n", false},
		{"Basic", "/key", "Authorization: Basic AWS4\r\n", false},
		{"Version 4", "/" + bucket + "/key", dummySignature, true},
		{"Version 4, another case", "/" + bucket + "/key", strings.Replace(strings.ToLower(dummySignature), "authorization", "AUTHORIZATION", 1), true},
		{"Version 4A", "/" + bucket + "/key", "Authorization: AWS4-ECDSA-P256-SHA256 Credential=dummy\r\n", true},
		{"Version 4, nothing else", "/" + bucket + "/key", "Authorization: AWS4-HMAC-SHA256\r\n", true},
		{"Version 2", "/" + bucket + "/key", "Authorization: AWS dummy:00=\r\n", true},
		{"a client token and Version 4", "/" + bucket + "/key", "Authorization: Bearer token\r\n" + dummySignature, true},
		{"presigned, Version 4", "/" + bucket + "/key?" + presigned(now, 60), "", true},
		{"presigned, lower case", "/" + bucket + "/key?" + strings.NewReplacer("X-Amz-", "x-amz-").Replace(presigned(now, 60)), "", true},
		{"presigned, escaped name", "/" + bucket + "/key?" + strings.NewReplacer("X-Amz-", "X%2DAmz%2D").Replace(presigned(now, 60)), "", true},
		{"presigned, Version 2", "/" + bucket + "/key?" + presignedV2(now.Add(time.Minute)), "", true},
		{"presigned, with a client token", "/" + bucket + "/key?" + presigned(now, 60), "Authorization: Bearer token\r\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, "GET "+tt.target+" HTTP/1.1\r\n"+tt.header+"\r\n")
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			a := r.upstream.only(t)
			if a.isS3() != tt.s3 || a.target() != "/key" || a.Host != cosHost || strings.Contains(a.head, "dummy") {
				t.Errorf("arrived as\n%s", a.head)
			}
		})
	}
}

// A request with signatures of both APIs is refused in the dialect of its header.
func TestDialect_Mixed(t *testing.T) {
	const ofCOS, v2 = "Authorization: q-sign-algorithm=sha1&q-ak=dummy\r\n", "Authorization: AWS dummy:00\r\n"
	now := time.Now()
	for _, tt := range []struct {
		name, query, header string
		s3                  bool
	}{
		{"AWS header, COS query", "q-signature=00", dummySignature, true},
		{"AWS header, COS query in another case", "Q%2DSignature=00", dummySignature, true},
		{"COS header, AWS query", presigned(now, 60), ofCOS, false},
		{"COS header, old AWS query", presignedV2(now.Add(time.Minute)), ofCOS, false},
		{"both in the query", presigned(now, 60) + "&q-signature=00", "", true},
		{"both in the query, COS first", "q-signature=00&" + presigned(now, 60), "", false},
		{"both in the header", "", dummySignature + ofCOS, true},
		{"both in the header, COS first", "", ofCOS + dummySignature, false},
		{"two versions of AWS", "", dummySignature + v2, true},
		{"two versions of AWS, one in the query", presignedV2(now.Add(time.Minute)), dummySignature, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, "GET /"+bucket+"/key?"+tt.query+" HTTP/1.1\r\n"+tt.header+"\r\n")
			if tt.s3 {
				r.refusedS3(t, rep, http.StatusBadRequest, "InvalidRequest")
			} else {
				r.refusedCOS(t, rep, http.StatusBadRequest, "InvalidRequest")
			}
		})
	}
}

// COS ignores what S3 adds, so a request without an AWS signature must not have it.
func TestDialect_S3FieldsWithoutSignature(t *testing.T) {
	r := start(t, setup{})
	for _, header := range []string{
		"x-amz-acl: public-read", "X-AMZ-Meta-A: 1", "x-amz-storage-class: STANDARD_IA", "x-amz-tagging: a=b", "x-amz-grant-read: id=1",
		"x-amz-copy-source: /" + bucket + "/key", "x-amz-server-side-encryption: AES256", "x-amz-decoded-content-length: 4", "x-amz-trailer: x-amz-checksum-crc32",
		"x-amz-checksum-crc32: AAAAAA==", "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-object-lock-mode: GOVERNANCE", "x-amz-unknown: 1",
		"Content-Encoding: aws-chunked", "Content-Encoding: gzip\r\nContent-Encoding: gzip, AWS-Chunked",
	} {
		doc := r.refusedCOS(t, r.exchange(t, "PUT /key HTTP/1.1\r\n"+header+"\r\nContent-Length: 4\r\n\r\ntest"), http.StatusBadRequest, "InvalidRequest")
		if !strings.Contains(doc.Message, "Route.Dialect") && !strings.Contains(doc.Message, "Dialect") {
			t.Errorf("%s: %s", header, doc.Message)
		}
	}
	for _, query := range []string{
		"list-type=2", "list%2Dtype=2&prefix=a", "prefix=a&list-type", "x-amz-acl=public-read", "X-Amz-Meta-A", "x%2Damz%2Dtagging=a",
	} {
		r.refusedCOS(t, r.get(t, "/?"+query), http.StatusBadRequest, "InvalidRequest")
	}
	// These have no effect on what COS stores.
	rep := r.exchange(t, "PUT /key HTTP/1.1\r\nx-amz-date: client\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-security-token: client\r\n"+
		"x-amz-user-agent: client\r\nContent-Length: 4\r\n\r\ntest")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if a := r.upstream.only(t); strings.Contains(a.head, "client") {
		t.Errorf("arrived as\n%s", a.head)
	}
}

func TestDialect_COSFieldsWithSignature(t *testing.T) {
	r := start(t, setup{})
	for _, header := range []string{
		"x-cos-acl: public-read", "X-Cos-Meta-A: 1", "x-cos-security-token: client", "x-cos-copy-source: " + cosHost + "/key", "x-ci-process: a", "Pic-Operations: {}",
	} {
		doc := r.refusedS3(t, r.s3(t, "PUT", "/"+bucket+"/key", header+"\r\n", "test"), http.StatusBadRequest, "InvalidRequest")
		if name, _, _ := strings.Cut(header, ":"); !strings.Contains(doc.Message, name) || !strings.Contains(doc.Message, "AWS signature") {
			t.Errorf("%s: %s", header, doc.Message)
		}
	}
}

// Fields of a response have no meaning in a request: they are neither sent nor an error.
func TestDialect_ResponseFields(t *testing.T) {
	r := start(t, setup{})
	rep := r.s3(t, "PUT", "/"+bucket+"/key", "x-cos-hash-crc64ecma: 1\r\nX-Cos-Request-Id: a\r\nx-cos-version-id: a\r\nx-amz-request-id: a\r\nx-amz-id-2: a\r\nx-amz-version-id: a\r\n", "test")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if a := r.upstream.only(t); strings.Contains(strings.ToLower(a.head), "-id: a") || a.Header["X-Cos-Hash-Crc64ecma"] != nil {
		t.Errorf("arrived as\n%s", a.head)
	}
}

// A route can choose S3 for requests without a signature.
func TestDialect_OfRoute(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].Dialect = proxy.DialectS3 }})
	doc := r.refusedS3(t, r.exchange(t, "PUT /"+bucket+"/key HTTP/1.1\r\nx-cos-acl: private\r\nContent-Length: 1\r\n\r\nx"), http.StatusBadRequest, "InvalidRequest")
	if strings.Contains(doc.Message, "has an AWS signature") || !strings.Contains(doc.Message, "Dialect") {
		t.Error(doc.Message)
	}
	for i, request := range []string{
		"PUT /" + bucket + "/key HTTP/1.1\r\nx-amz-meta-a: 1\r\nContent-Length: 1\r\n\r\nx",
		"PUT /key HTTP/1.1\r\nHost: " + cosHost + "\r\nx-amz-meta-a: 1\r\nContent-Length: 1\r\n\r\nx",
		"PUT /key HTTP/1.1\r\nHost: localhost\r\nAuthorization: q-sign-algorithm=sha1&q-ak=dummy\r\nx-cos-meta-a: 1\r\nContent-Length: 1\r\n\r\nx",
	} {
		if rep := r.exchange(t, request); rep.status != http.StatusOK {
			t.Fatalf("status %d: %s", rep.status, rep.body)
		}
		a := r.upstream.seen()[i]
		if a.target() != "/key" || a.isS3() != (i < 2) || a.Header.Get("X-Amz-Meta-A")+a.Header.Get("X-Cos-Meta-A") != "1" {
			t.Errorf("arrived as\n%s", a.head)
		}
	}
}

// An unsigned request that begins with the bucket of an S3 route is an S3 request, whatever
// the path prefixes of the routes are.
func TestDialect_OfBucket(t *testing.T) {
	const other = "other-1250000000"
	r := start(t, setup{options: func(o *proxy.Options) {
		second := o.Routes[0]
		second.Name, second.Bucket, second.PathPrefix, second.Dialect = "second", other, "/b/", proxy.DialectS3
		o.Routes = append(o.Routes, second)
	}})
	if rep := r.exchange(t, "PUT /"+other+"/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if a := r.upstream.only(t); a.target() != "/key" || !a.isS3() || !strings.HasPrefix(a.Host, other+".") {
		t.Errorf("arrived as\n%s", a.head)
	}
	r = start(t, setup{options: func(o *proxy.Options) { o.Routes[0].PathPrefix, o.Routes[0].Dialect = "/a/", proxy.DialectS3 }})
	r.refusedS3(t, r.exchange(t, "GET /none/key HTTP/1.1\r\nHost: localhost\r\n\r\n"), http.StatusNotFound, "NoSuchBucket")
}

func TestDialect_Invalid(t *testing.T) {
	_, err := proxy.New(proxy.Options{Routes: []proxy.Route{{Bucket: bucket, Region: region, Dialect: "S3", Credentials: newCredentials(1)}}})
	if err == nil || !strings.Contains(err.Error(), "Dialect") {
		t.Error(err)
	}
}

// Errors have the dialect of the request, whichever step fails.
func TestDialect_OfErrors(t *testing.T) {
	unreachable := func(a *arrival) { a.conn.Close() }
	for _, tt := range []struct {
		name, request string
		status        int
		code          string
		handle        func(*arrival)
	}{
		{"method", "PATCH /" + bucket + "/key", http.StatusMethodNotAllowed, "MethodNotAllowed", nil},
		{"query", "GET /" + bucket + "/key?a=%zz", http.StatusBadRequest, "InvalidURI", nil},
		{"target", "GET /%zz", http.StatusBadRequest, "InvalidURI", nil},
		{"bucket", "GET /otherbucket-1250000000/key", http.StatusNotFound, "NoSuchBucket", nil},
		{"connection", "GET /" + bucket + "/key", http.StatusBadGateway, "InternalError", unreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{handle: tt.handle})
			rep := r.exchange(t, tt.request+" HTTP/1.1\r\n"+dummySignature+"\r\n")
			if tt.handle != nil {
				if doc := rep.cosError(t); rep.status != tt.status || doc.Code != tt.code || rep.header.Get("X-Amz-Request-Id") == "" {
					t.Errorf("status %d: %s\n%s", rep.status, rep.head, rep.body)
				}
				return
			}
			r.refusedS3(t, rep, tt.status, tt.code)
		})
	}
	r := start(t, setup{options: allowOnly("GetObject")})
	doc := r.refusedS3(t, r.s3(t, "PUT", "/"+bucket+"/dir/key", "", "x"), http.StatusForbidden, "AccessDenied")
	if !strings.Contains(doc.Message, "name/cos:PutObject") {
		t.Error(doc.Message)
	}
	misdirected := r.exchange(t, "GET /key HTTP/1.1\r\nHost: otherbucket-1250000000.cos."+region+".myqcloud.com\r\n"+dummySignature+"\r\n")
	r.refusedS3(t, misdirected, http.StatusMisdirectedRequest, "NoSuchBucket")
	head := r.s3(t, "HEAD", "/otherbucket-1250000000/key", "", "")
	if head.status != http.StatusNotFound || head.header.Get("X-Amz-Request-Id") == "" || head.body != "" {
		t.Errorf("HEAD: %s", head.head)
	}
}

// Errors of requests that break a rule before they are routed have the dialect of the request
// too: with a signature, and without one on a route for S3.
func TestDialect_OfEarlyErrors(t *testing.T) {
	for _, tt := range []struct {
		name, request string // without the line of the signature
		status        int
		code          string
	}{
		{"two lengths", "PUT /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "InvalidRequest"},
		{"coding", "PUT /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "NotImplemented"},
		{"expectation", "PUT /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\nContent-Length: 1\r\n\r\n", 417, "InvalidRequest"},
		{"method", "PATCH /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "MethodNotAllowed"},
		{"target", "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "InvalidURI"},
		{"size", "PUT /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n", 413, "EntityTooLarge"},
		{"Host", "GET /" + bucket + "/key HTTP/1.1\r\nHost: other.example\r\n\r\n", 421, "NoSuchBucket"},
		{"origin", "GET /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\nOrigin: https://other.example\r\n\r\n", 403, "AccessDenied"},
	} {
		for _, dialect := range []string{proxy.DialectCOS, proxy.DialectS3} {
			r := start(t, setup{options: func(o *proxy.Options) { o.Limits.BodyBytes, o.Routes[0].Dialect = 10, dialect }})
			lines, rest, _ := strings.Cut(tt.request, "\r\n")
			r.refusedS3(t, r.exchange(t, lines+"\r\n"+dummySignature+rest), tt.status, tt.code)
			if rep := r.exchange(t, tt.request); dialect == proxy.DialectS3 {
				r.refusedS3(t, rep, tt.status, tt.code)
			} else if rep.header.Get("X-Cos-Request-Id") == "" {
				t.Errorf("%s: not an error of COS:\n%s", tt.name, rep.head)
			}
		}
	}
}

// A request for what COS does not have is a fault of the client in the log.
func TestDialect_NotImplementedLogged(t *testing.T) {
	r := start(t, setup{})
	r.refusedS3(t, r.s3(t, "DELETE", "/"+bucket+"/key", "If-Match: x\r\n", ""), http.StatusNotImplemented, "NotImplemented")
	if log := r.drained(t); !strings.Contains(log, "http.response.status_code=501") || strings.Contains(log, "level=ERROR") {
		t.Error(log)
	}
}

// A browser sends the preflight of an S3 request without its signature.
func TestDialect_Preflight(t *testing.T) {
	for _, tt := range []struct {
		name, target, header string
		s3                   bool
	}{
		{"of COS", "/key", "authorization, x-cos-meta-a", false},
		{"signed header", "/" + bucket + "/key", "authorization, X-Amz-Date, x-amz-content-sha256", true},
		{"presigned", "/" + bucket + "/key?" + presigned(time.Now(), 60) + "&list-type=2", "content-type", true},
		{"presigned, with fields", "/" + bucket + "/key?" + presigned(time.Now(), 60) + "&x-amz-acl=public-read&x-amz-checksum-crc32=AAAAAA==&X-Amz-Content-Sha256=" +
			strings.Repeat("0", 64) + "&x-amz-meta-a=1&x-amz-copy-source=a&x-amz-unknown=1", "content-type", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) {
				o.AllowedOrigins, o.Routes[0].AllowActions = []string{"https://app.example"}, []string{"name/cos:OptionsObject"}
			}})
			rep := r.exchange(t, "OPTIONS "+tt.target+" HTTP/1.1\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n"+
				"Access-Control-Request-Headers: "+tt.header+"\r\n\r\n")
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			if a := r.upstream.only(t); a.target() != "/key" || a.isS3() != tt.s3 || a.Header["X-Amz-Meta-A"] != nil {
				t.Errorf("arrived as\n%s", a.head)
			}
		})
	}
}

func TestPresigned_Expiry(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name, query string
		status      int
		code        string
	}{
		{"valid", presigned(now, 60), 0, ""},
		{"a week", presigned(now, 7*24*3600), 0, ""},
		{"expired", presigned(now.Add(-time.Hour), 3599), http.StatusForbidden, "AccessDenied"},
		{"more than a week", presigned(now, 7*24*3600+1), http.StatusBadRequest, "AuthorizationQueryParametersError"},
		{"no seconds", presigned(now, 0), http.StatusBadRequest, "AuthorizationQueryParametersError"},
		{"negative", presigned(now, -1), http.StatusBadRequest, "AuthorizationQueryParametersError"},
		{"clock 14 minutes ahead", presigned(now.Add(14*time.Minute), 60), 0, ""},
		{"clock 16 minutes ahead", presigned(now.Add(16*time.Minute), 60), http.StatusForbidden, "AccessDenied"},
		{"no date", strings.Replace(presigned(now, 60), "&X-Amz-Date="+amzDate(now), "", 1), http.StatusBadRequest, "AuthorizationQueryParametersError"},
		{"two dates", presigned(now.Add(-time.Hour), 60) + "&x-amz-date=" + amzDate(now), http.StatusBadRequest, "AuthorizationQueryParametersError"},
		{"two expiries", presigned(now.Add(-time.Hour), 60) + "&x%2Damz%2Dexpires=7200", http.StatusBadRequest, "AuthorizationQueryParametersError"},
		{"Version 2", presignedV2(now.Add(time.Minute)), 0, ""},
		{"Version 2, expired", presignedV2(now.Add(-time.Second)), http.StatusForbidden, "AccessDenied"},
		{"Version 2, without an expiry", "AWSAccessKeyId=dummy&Signature=00", http.StatusBadRequest, "AuthorizationQueryParametersError"},
		{"Version 2, two expiries", presignedV2(now.Add(-time.Hour)) + "&Expires=9999999999", http.StatusBadRequest, "AuthorizationQueryParametersError"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.get(t, "/"+bucket+"/key?"+tt.query)
			if tt.status != 0 {
				r.refusedS3(t, rep, tt.status, tt.code)
				return
			}
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			if a := r.upstream.only(t); a.target() != "/key" {
				t.Errorf("arrived as\n%s", a.head)
			}
		})
	}
}

// A presigned URL is judged by the clock of COS, once that is known.
func TestPresigned_ClockOfCOS(t *testing.T) {
	r := atHere(t, refuseFirst(1, dated(skewed, at(2*time.Hour))))
	atCOS := "/" + bucket + "/key?" + presigned(here.Add(2*time.Hour), 60)
	r.refusedS3(t, r.get(t, atCOS), http.StatusForbidden, "AccessDenied")
	for _, target := range []string{"/key", atCOS} {
		if rep := r.get(t, target); rep.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", target, rep.status, rep.body)
		}
	}
}

// Parameters of a presigned URL that stand for header fields become header fields, in any
// spelling, and pass the same checks.
func TestPresigned_FieldsInQuery(t *testing.T) {
	const sign = "AWSAccessKeyId=dummy&Signature=00&Expires=9999999999&"
	put := func(r *rig, query, header string) reply {
		return r.exchange(t, "PUT /"+bucket+"/dir/key?"+sign+query+" HTTP/1.1\r\n"+header+"Content-Length: 1\r\n\r\nx")
	}
	r := start(t, setup{})
	rep := put(r, "x-amz-meta-a=1%202&X-AMZ-%41cl=public-read&X%2Damz%2dstorage-class=STANDARD_IA&x-amz-checksum-crc32=AAAAAA==&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject", "")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	a := r.upstream.only(t)
	if a.target() != "/dir/key?x-id=PutObject" || a.Header.Get("X-Amz-Meta-A") != "1 2" || a.Header.Get("X-Amz-Acl") != "public-read" || a.Header.Get("X-Amz-Storage-Class") != "STANDARD_IA" {
		t.Errorf("arrived as\n%s", a.head)
	}
	for _, tt := range []struct {
		query, header string
		status        int
		code          string
	}{
		{"X-AMZ-aCL=public-read", "", http.StatusForbidden, "AccessDenied"},
		{"x-amz-acl=private&x-amz-acl=public-read", "", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-acl=private&X-Amz-Acl=public-read", "", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-acl=private", "x-amz-acl: private\r\n", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-grant-read=id%3D1", "", http.StatusForbidden, "AccessDenied"},
		{"x-amz-tagging=a", "", http.StatusForbidden, "AccessDenied"},
		{"X-Amz-Copy-Source=" + bucket + "/secret/key", "", http.StatusForbidden, "AccessDenied"},
		{"x-amz-copy-source=" + bucket + "/dir/a&x%2damz-copy-source=" + bucket + "/secret/key", "", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-object-lock-mode=GOVERNANCE", "", http.StatusNotImplemented, "NotImplemented"},
		{"x-amz-server-side-encryption=aws:kms", "", http.StatusNotImplemented, "NotImplemented"},
		{"x-amz-meta-a%0d%0ax-amz-acl:public-read=1", "", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-meta-a=1%0d%0ax-amz-acl:public-read", "", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-meta-=1%00", "", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-meta-a%20=1", "", http.StatusBadRequest, "InvalidRequest"},
		{"X-Amz-Content-Sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER", "", http.StatusLengthRequired, "MissingContentLength"},
		{"X-Amz-Content-Sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER&x-amz-decoded-content-length=1", "", http.StatusBadRequest, "InvalidRequest"},
		{"x-amz-trailer=x-amz-checksum-crc32", "", http.StatusBadRequest, "InvalidRequest"},
		{"X-Amz-Content-Sha256=" + strings.Repeat("0", 64), "", http.StatusBadRequest, "XAmzContentSHA256Mismatch"},
		{"x-amz-checksum-crc32=AAAAAQ==", "", http.StatusBadRequest, "BadDigest"},
		{"x-amz-copy-source=" + bucket + "/dir/a%3Fb", "", http.StatusBadRequest, "InvalidArgument"},
	} {
		r := start(t, setup{options: allowOnly("PutObject", "GetObject")})
		rep := put(r, tt.query, tt.header)
		if rep.status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.query, rep.status, tt.status, rep.body)
			continue
		}
		r.refusedS3(t, rep, tt.status, tt.code)
	}
}

// Nothing of the client's signature reaches COS, and no other field that S3 clients add for
// themselves.
func TestS3_HeadersRemoved(t *testing.T) {
	r := start(t, setup{})
	rep := r.s3(t, "PUT", "/"+bucket+"/key", "x-amz-date: client\r\nX-Amz-Security-Token: client\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"+
		"x-amz-user-agent: client\r\namz-sdk-invocation-id: client\r\namz-sdk-request: client\r\nx-amz-signature: client\r\nx-amz-credential: client\r\n"+
		"x-amz-expires: client\r\nx-amz-sdk-checksum-algorithm: client\r\nX-Amz-Meta-A: kept\r\nx-amz-request-payer: client\r\nCookie: client\r\nX-Forwarded-For: client\r\n", "test")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	a := r.upstream.only(t)
	if strings.Contains(a.head, "client") || a.Header.Get("X-Amz-Meta-A") != "kept" || string(a.body) != "test" {
		t.Errorf("arrived as\n%s", a.head)
	}
	names := fieldNames(a.head)
	slices.Sort(names)
	if want := []string{"Authorization", "Content-Length", "Host", "Via", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Meta-A", "X-Amz-Security-Token"}; !slices.Equal(names, want) {
		t.Errorf("the fields are %q, want %q", names, want)
	}
}

// Connection must not remove what determines the request.
func TestS3_ConnectionLists(t *testing.T) {
	for _, name := range []string{"x-amz-acl", "X-AMZ-Meta-A", "x-amz-copy-source", "x-amz-content-sha256", "x-amz-tagging-directive", "Content-Encoding"} {
		r := start(t, setup{})
		r.refusedS3(t, r.s3(t, "PUT", "/"+bucket+"/key", "Connection: "+name+"\r\n"+"x-amz-meta-a: 1\r\n", "x"), http.StatusBadRequest, "InvalidRequest")
	}
}
