//go:build !race

// The race detector allocates, so the counts are checked without it.

package signer_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/signer"
)

func TestSign_Allocations(t *testing.T) {
	var s signer.Signer
	for _, req := range []*http.Request{benchmarkGet(t), benchmarkPut(t)} {
		if got := testing.AllocsPerRun(200, func() {
			if err := s.Sign(req, tempCreds, now); err != nil {
				t.Fatal(err)
			}
		}); got > 2 {
			t.Errorf("%s: %v allocations, want at most 2 (the Authorization and the array of both values)", req.Method, got)
		}
	}
	// The same with alternating credentials, and with headers that the benchmarks omit.
	req := newRequest(t, http.MethodPost, "/%E4%B8%AD?b=%7B&a+b;c=1&b=2&uploads", strings.NewReader("x"))
	req.Header["x-cos-meta-lower"] = []string{" b ", "a"}
	other := tempCreds
	other.SecretID = "AKIDother"
	if got := testing.AllocsPerRun(200, func() {
		if err := s.Sign(req, tempCreds, now); err != nil {
			t.Fatal(err)
		}
		if err := s.Sign(req, other, now); err != nil {
			t.Fatal(err)
		}
	}); got > 4 {
		t.Errorf("alternating credentials: %v allocations for two signatures, want at most 4", got)
	}
	head, dst := headOf(benchmarkPut(t)), []byte(nil)
	if got := testing.AllocsPerRun(200, func() {
		var err error
		if dst, err = s.AppendAuthorization(dst[:0], head, tempCreds, now); err != nil {
			t.Fatal(err)
		}
	}); got > 0 {
		t.Errorf("AppendAuthorization: %v allocations, want none", got)
	}
}

func TestS3AppendFields_Allocations(t *testing.T) {
	var s signer.S3Signer
	creds := benchmarkCreds()
	for _, h := range []signer.S3Head{s3Of(benchmarkGet(t)), s3Of(benchmarkPut(t))} {
		var dst []signer.Field
		var memory []byte
		var err error
		if got := testing.AllocsPerRun(200, func() {
			if dst, memory, err = s.AppendFields(dst[:0], memory[:0], h, creds, now); err != nil {
				t.Fatal(err)
			}
		}); got > 0 {
			t.Errorf("%s: %v allocations with memory to reuse, want none", h.Method, got)
		}
		if got := testing.AllocsPerRun(200, func() {
			if _, _, err = s.AppendFields(nil, nil, h, creds, now); err != nil {
				t.Fatal(err)
			}
		}); got > 2 {
			t.Errorf("%s: %v allocations, want at most 2 (the fields and their values)", h.Method, got)
		}
	}
	authorization := []byte("Bearer x")
	if got := testing.AllocsPerRun(200, func() {
		query := "response-content-type=text%2Fcsv&versionId=MTg0NDUxNzgxMjk&X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=60"
		if _, _, err := signer.PresignedValidity(query); err != nil || signer.SchemeOf(authorization, query) != signer.AWSSignatureV4 {
			t.Fatal(err)
		}
	}); got > 0 {
		t.Errorf("SchemeOf and PresignedValidity: %v allocations, want none", got)
	}
}
