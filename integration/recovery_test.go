package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cosproxy/integration/cosemu"
)

// TestRecovery_RevokedCredentials revokes the credentials in the middle of 200 mixed
// transfers. No request may fail, and the sidecar fetches credentials once.
func TestRecovery_RevokedCredentials(t *testing.T) {
	t.Parallel()
	const transfers = 200
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	s.waitReady(t)
	small, large := bytes.Repeat([]byte("s"), 1<<10), bytes.Repeat([]byte("large"), 100<<10)
	for key, body := range map[string][]byte{"small": small, "large": large} {
		if status, response := do(t, http.MethodPut, s.url+"/"+key, bytes.NewReader(body)); status != http.StatusOK {
			t.Fatalf("PUT %s: %d %s", key, status, response)
		}
	}
	before := emu.Stats().STSCalls
	id := emu.Requests()[0].SecretID

	transfer := func(i int) {
		url := fmt.Sprintf("%s/mixed/%d", s.url, i)
		var status int
		var response []byte
		want := http.StatusOK
		switch i % 8 {
		case 0:
			status, response = do(t, http.MethodGet, s.url+"/large", nil)
			if status == http.StatusOK && !bytes.Equal(response, large) {
				t.Errorf("transfer %d: the download differs", i)
			}
		case 1:
			status, response = do(t, http.MethodPut, url, bytes.NewReader(small))
		case 2:
			status, response = do(t, http.MethodPut, url, bytes.NewReader(large))
		case 3:
			status, response = do(t, http.MethodHead, s.url+"/small", nil)
		case 4: // chunked
			status, response = do(t, http.MethodPut, url, io.MultiReader(bytes.NewReader(large)))
		case 5:
			status, response = do(t, http.MethodGet, s.url+"/?prefix=mixed/", nil)
		case 6:
			want = http.StatusNoContent
			status, response = do(t, http.MethodDelete, url, nil)
		case 7:
			want = http.StatusNoContent
			var text string
			status, text = postForm(t, s, fmt.Sprint("mixed/", i), bytes.NewReader(small), int64(len(small)))
			response = []byte(text)
		}
		if status != want {
			t.Errorf("transfer %d: %d %s", i, status, response)
		}
	}
	var all sync.WaitGroup
	for i := range transfers {
		all.Go(func() {
			if i == transfers/2 {
				emu.Revoke(id)
			}
			transfer(i)
			transfer(i)
		})
	}
	all.Wait()
	if extra := emu.Stats().STSCalls - before; extra != 1 {
		t.Errorf("%d more STS calls, want 1", extra)
	}
	if !strings.Contains(s.log.String(), `"msg":"request"`) {
		t.Error("no request was logged")
	}
}

// TestRecovery_LargeUpload rejects the first request of a 1 GiB upload for expired
// credentials. The client does not notice, and the sidecar does not buffer the body.
func TestRecovery_LargeUpload(t *testing.T) {
	t.Parallel()
	const (
		size  = 1 << 30
		limit = 40 << 20
	)
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, filepath.Join(bin, "cosproxy"), sidecarEnv(emu)...)
	s.waitReady(t)
	emu.SetCOSFault(cosemu.COSFault{Times: 1, Status: http.StatusBadRequest, Code: "ExpiredToken", Message: "The provided token has expired."})

	sent := putPattern(t, s, "gigabyte", size)
	if n := emu.Stats().COSRequests; n != 2 {
		t.Errorf("%d requests reached COS, want the rejected one and another", n)
	}
	checkPeakRSS(t, s, limit)
	// The connection breaks twice during the download.
	emu.SetCOSFault(cosemu.COSFault{Times: 2, CutAfter: 300 << 20})
	if got := readBack(t, s, "gigabyte", size); got != sent {
		t.Error("the downloaded bytes differ from the uploaded ones")
	}
}
