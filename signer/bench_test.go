package signer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/signer"
)

// benchmarkGet and benchmarkPut return a download and an upload of a part, as a proxy
// forwards them.
func benchmarkGet(t testing.TB) *http.Request {
	req := newRequest(t, http.MethodGet,
		"/reports/2030/05/summary%20final.csv?response-content-type=text%2Fcsv&versionId=MTg0NDUxNzgxMjk", nil)
	req.Header.Set("Range", "bytes=0-1048575")
	req.Header.Set("If-None-Match", `"d41d8cd98f00b204e9800998ecf8427e"`)
	req.Header.Set("Accept", "*/*")
	req.Header.Set("User-Agent", "curl/8.5.0")
	return req
}

func benchmarkPut(t testing.TB) *http.Request {
	req := newRequest(t, http.MethodPut,
		"/backups/db/2030-05-06.tar.zst?partNumber=17&uploadId=1585130821cbb7df1d11846c073ad648e8f33b08", strings.NewReader("part"))
	req.ContentLength = 8 << 20
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Content-Md5", "mQ/fVh815F3k6TAUm8m0eg==")
	req.Header.Set("X-Cos-Meta-Author", "backup")
	req.Header.Set("X-Cos-Traffic-Limit", "819200")
	return req
}

// benchmarkCreds has a token of about the length that STS issues.
func benchmarkCreds() signer.Credentials {
	creds := tempCreds
	creds.SecretID = "AKID" + strings.Repeat("a1_-B2c3", 8)
	creds.SecretKey = strings.Repeat("k4/+", 11)
	creds.Token = strings.Repeat("Tok3n-_x", 64)
	return creds
}

// benchmarkEach runs sign on both requests, with a long-lived key pair and with temporary
// credentials.
func benchmarkEach(b *testing.B, sign func(*http.Request, signer.Credentials) error) {
	longLived := benchmarkCreds()
	longLived.Token = ""
	for _, bench := range []struct {
		name    string
		request func(testing.TB) *http.Request
		creds   signer.Credentials
	}{
		{"GET/longlived", benchmarkGet, longLived},
		{"PUT/longlived", benchmarkPut, longLived},
		{"GET/temporary", benchmarkGet, benchmarkCreds()},
		{"PUT/temporary", benchmarkPut, benchmarkCreds()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			req := bench.request(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := sign(req, bench.creds); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	var s signer.Signer
	benchmarkEach(b, func(req *http.Request, creds signer.Credentials) error { return s.Sign(req, creds, now) })
}

// BenchmarkSDK signs the same requests with cos-go-sdk-v5, for comparison in the
// same run.
func BenchmarkSDK(b *testing.B) {
	authTime := &cos.AuthTime{SignStartTime: now, SignEndTime: now.Add(time.Hour), KeyStartTime: now, KeyEndTime: now.Add(time.Hour)}
	benchmarkEach(b, func(req *http.Request, creds signer.Credentials) error {
		cos.AddAuthorizationHeader(creds.SecretID, creds.SecretKey, creds.Token, req, authTime)
		return nil
	})
}

// s3Of returns the same request in the dialect of S3.
func s3Of(req *http.Request) signer.S3Head {
	h := signer.S3Head{
		Method: req.Method, Path: req.URL.EscapedPath(), RawQuery: req.URL.RawQuery, Fields: headOf(req).Fields,
		Region: "ap-guangzhou", PayloadHash: signer.UnsignedPayload,
	}
	for i, f := range h.Fields {
		if rest, ok := strings.CutPrefix(string(f.Name), "X-Cos-"); ok {
			h.Fields[i].Name = []byte("X-Amz-" + rest)
		}
	}
	return h
}

// benchmarkS3 makes the functions that sign a request and runs them like benchmarkEach.
func benchmarkS3(b *testing.B, signing func(h signer.S3Head) func(signer.Credentials) error) {
	made := map[*http.Request]func(signer.Credentials) error{}
	benchmarkEach(b, func(req *http.Request, creds signer.Credentials) error {
		sign, ok := made[req]
		if !ok {
			sign = signing(s3Of(req))
			made[req] = sign
		}
		return sign(creds)
	})
}

func BenchmarkS3(b *testing.B) {
	var s signer.S3Signer
	benchmarkS3(b, func(h signer.S3Head) func(signer.Credentials) error {
		var dst []signer.Field
		var memory []byte
		return func(creds signer.Credentials) (err error) {
			dst, memory, err = s.AppendFields(dst[:0], memory[:0], h, creds, now)
			return err
		}
	})
}

// BenchmarkS3NewMemory does not reuse the memory of the fields.
func BenchmarkS3NewMemory(b *testing.B) {
	var s signer.S3Signer
	benchmarkS3(b, func(h signer.S3Head) func(signer.Credentials) error {
		return func(creds signer.Credentials) error {
			_, _, err := s.AppendFields(nil, nil, h, creds, now)
			return err
		}
	})
}

// BenchmarkAWSSDK signs the same requests with aws-sdk-go-v2, for comparison in the same run.
func BenchmarkAWSSDK(b *testing.B) {
	sdk := newSDKSigner()
	benchmarkS3(b, func(h signer.S3Head) func(signer.Credentials) error {
		req := sdkRequest(b, h)
		return func(creds signer.Credentials) error {
			return sdk.SignHTTP(b.Context(), sdkCredentials(creds), req, h.PayloadHash, "s3", h.Region, now)
		}
	})
}

// BenchmarkSignParallel uses one Signer and eight sets of credentials on all processors.
func BenchmarkSignParallel(b *testing.B) {
	var keys [8]signer.Credentials
	for i := range keys {
		keys[i] = benchmarkCreds()
		keys[i].SecretID += string(rune('a' + i))
	}
	var s signer.Signer
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		req := benchmarkGet(b)
		for i := 0; pb.Next(); i++ {
			if err := s.Sign(req, keys[i%len(keys)], now); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
