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
