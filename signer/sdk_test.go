package signer_test

import (
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/signer"
)

const (
	fuzzStart, fuzzEnd = 1700000000, 1700003600
	fuzzKeyTime        = "1700000000;1700003600"
)

// FuzzSignAgainstSDK compares the whole Authorization with that of
// cos.AddAuthorizationHeader for the same request and time. They
// sign different headers in a few cases. sdkView removes these differences and says why they
// exist.
func FuzzSignAgainstSDK(f *testing.F) {
	f.Add("GET", "obj", "", "Range", "bytes=0-99", "X-Cos-Acl", "private", "token", int64(0))
	f.Add("PUT", "目录/文件 名(腾讯云)'!*.txt", "partNumber=1&uploadId=u%2B1", "Content-Type", "text/plain; charset=utf-8", "Content-Md5", "mQ/fVh815F3k6TAUm8m0eg==", "", int64(5))
	f.Add("get", "/a//./b/../c", "prefix=a+b%2Bc&delimiter=%2F&marker=", "x-cos-meta-A", " v 1\t", "X-Cos-Meta-a", "v 0", "t o/k=e+n", int64(-1))
	f.Add("DELETE", "a%2Fb+c", "a-b=1&a%2Fb=2&a.b=3&a_b=4&a~b=5&a%20b=6&aB=7", "Date", "now", "Expires", "0", "t", int64(0))
	f.Add("POST", "", "A=1&a=2&a=1&a=10&a=%7B&A=z", "Transfer-Encoding", "chunked", "Expect", "100-continue", "t", int64(0))
	f.Add("HEAD", "x", "a=1;b=2&c;d", "Content-Length", "0", "Host", "other", "t", int64(0))
	f.Add("OPTIONS", "x", "=v&==&%3D=&&", "Origin", "https://a.example", "Access-Control-Request-Headers", "x", "", int64(0))
	f.Add("GET", "x", "a=%zz", "X-Ci-Process", "a|b", "Pic-Operations", `{"is_pic_info":1}`, "t", int64(0))
	f.Add("GET", "x", "a=b c", "x-Cos-meta-%|'", "\xff\x00", "authorization", "old", "t", int64(0))
	f.Add("GET", "x", "%", "X-COS-SECURITY-TOKEN", "old", "content-Length", "1", "t", int64(0))
	var s signer.Signer
	f.Fuzz(func(t *testing.T, method, key, query, name1, value1, name2, value2, token string, length int64) {
		if !isToken(method) || !isToken(name1) || !isToken(name2) {
			return // net/http sends no such request
		}
		req := &http.Request{
			Method: method, Host: bucketHost, Header: http.Header{}, ContentLength: length,
			URL: &url.URL{Path: "/" + key, RawQuery: query},
		}
		if length != 0 {
			req.Body = unknownLength("x")
		}
		req.Header[name1] = append(req.Header[name1], value1)
		req.Header[name2] = append(req.Header[name2], value2)
		sdk := sdkView(req)

		creds := signer.Credentials{SecretID: "AKIDexample", SecretKey: "the-secret-key", Token: token}
		err := s.SignAt(req, creds, fuzzKeyTime)
		if refused := unsendable(query, name1, name2); (err != nil) != refused || err != nil && !errors.Is(err, signer.ErrRequest) {
			t.Fatalf("error %v, want an error: %t", err, refused)
		}
		if err != nil {
			return
		}
		if token != "" {
			sdk.Header.Set("X-Cos-Security-Token", textproto.TrimString(token))
		}
		cos.AddAuthorizationHeader(creds.SecretID, creds.SecretKey, "", sdk, &cos.AuthTime{
			SignStartTime: time.Unix(fuzzStart, 0), SignEndTime: time.Unix(fuzzEnd, 0),
			KeyStartTime: time.Unix(fuzzStart, 0), KeyEndTime: time.Unix(fuzzEnd, 0),
		})
		if got, want := req.Header.Get("Authorization"), sdk.Header.Get("Authorization"); got != want {
			t.Errorf("\n ours %s\n  SDK %s", got, want)
		}
	})
}

// sdkView returns req without the parts that the SDK signs differently.
func sdkView(req *http.Request) *http.Request {
	view := req.Clone(req.Context())
	// The SDK does not sign a pair with a raw ";", because url.Query drops it, but sends it. We
	// sign it as data, as the other SDKs do.
	view.URL.RawQuery = strings.ReplaceAll(view.URL.RawQuery, ";", "%3B")
	for name, values := range view.Header {
		switch strings.ToLower(name) {
		case "expect", "transfer-encoding":
			// The SDK signs them from the map, but net/http decides on them.
			delete(view.Header, name)
		case "content-length":
			// The SDK signs the value of the map; net/http sends another one or none.
			delete(view.Header, name)
		case "x-cos-security-token":
			// We remove an old token; the SDK would sign it.
			delete(view.Header, name)
		}
		for i := range values {
			values[i] = textproto.TrimString(values[i]) // as net/http sends it
		}
	}
	methodsWithBody := []string{http.MethodPut, http.MethodPost, http.MethodPatch}
	if view.ContentLength > 0 || view.ContentLength == 0 && slices.Contains(methodsWithBody, view.Method) {
		view.Header.Set("Content-Length", strconv.FormatInt(view.ContentLength, 10))
	}
	return view
}

// unsendable reports, with independent code, whether signing must fail: the query does not
// parse (except for ";") or has a raw blank or control byte, or the map has a header of net/http
// in another spelling.
func unsendable(query string, names ...string) bool {
	for _, name := range names {
		switch http.CanonicalHeaderKey(name) {
		case name:
		case "Host", "Content-Length", "Transfer-Encoding":
			return true
		}
	}
	_, err := url.ParseQuery(strings.ReplaceAll(query, ";", "%3B"))
	return err != nil || strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
