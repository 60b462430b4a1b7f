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
