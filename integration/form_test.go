package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// TestForm_Curl uploads the form of the README, with credentials that live for 5 s and
// may write under uploads/ only.
func TestForm_Curl(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, CredentialsDuration: 5 * time.Second})
	s := startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ALLOW_PREFIXES=uploads/*", "COSPROXY_ALLOW_ACTIONS=upload")...)
	body := make([]byte, 20<<20)
	_, _ = io.ReadFull(&pattern{}, body)
	file := filepath.Join(t.TempDir(), "a b.bin")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	curl := func(args ...string) string {
		t.Helper()
		args = append([]string{"-sS", "--noproxy", "*", "-w", "%{http_code} %{redirect_url}"}, args...)
		out, err := exec.Command("curl", append(args, s.url+"/")...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}

	if got := curl("-F", "key=uploads/a.bin", "-F", "x-cos-meta-a=1", "-F", "file=@"+file); got != "204 " {
		t.Fatalf("got %s", got)
	}
	if got := readDirect(t, emu, "uploads/a.bin"); !bytes.Equal(got, body) {
		t.Errorf("COS holds %d other bytes, want %d", len(got), len(body))
	}
	o, _ := emu.Object(bucket, "uploads/a.bin")
	if !strings.Contains(fmt.Sprint(o.Header), "x-cos-meta-a:[1]") || o.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("stored with %v", o.Header)
	}
	got := curl("-F", "key=uploads/${filename}", "-F", "success_action_redirect=http://localhost/done?a=1", "-F", "policy=dummy",
		"-F", "q-signature=dummy", "-F", "file=@"+file)
	if !strings.HasPrefix(got, "303 http://localhost/done?a=1&bucket="+bucket+"&etag=%22") || !strings.HasSuffix(got, "&key=uploads%2Fa+b.bin") {
		t.Errorf("redirected: %s", got)
	}
	if got := curl("-F", "key=uploads/b", "-F", "success_action_status=201", "-F", "file=hello"); !strings.Contains(got, "<PostResponse>") || !strings.HasSuffix(got, "201 ") {
		t.Errorf("got %s", got)
	}
	for _, key := range []string{"down/a", "uploads/../a", "uploads"} {
		if got := curl("-F", "key="+key, "-F", "file=@"+file); !strings.Contains(got, "COSPROXY_ALLOW_PREFIXES") || !strings.HasSuffix(got, "403 ") {
			t.Errorf("%s: %s", key, got)
		}
	}
	if got := curl("-F", "key=uploads/c", "-F", "file=@"+file, "-F", "acl=public-read"); !strings.Contains(got, "Send the file as the last part") || !strings.HasSuffix(got, "400 ") {
		t.Errorf("a field after the file: %s", got)
	}
	if _, ok := emu.Object(bucket, "uploads/c"); ok {
		t.Error("a form with a field after its file was stored")
	}
}

// TestForm_Rotation uploads forms for longer than the lifetime of three credentials.
func TestForm_Rotation(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{CredentialsDuration: 5 * time.Second})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	ids := map[string]bool{}
	for end, i := time.Now().Add(16*time.Second), 0; time.Now().Before(end); i++ {
		if status, response := postForm(t, s, fmt.Sprint("k", i), strings.NewReader("x"), 1); status != http.StatusNoContent {
			t.Fatalf("form %d: %d %s", i, status, response)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, r := range emu.Requests() {
		ids[r.SecretID] = true
	}
	if len(ids) < 3 {
		t.Errorf("the forms were signed with %d credentials, want at least 3", len(ids))
	}
}

// TestForm_RevokedCredentials checks that the client of a form does not notice revoked
// credentials.
func TestForm_RevokedCredentials(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"small": 1, "large": 10 << 20} {
		t.Run(name, func(t *testing.T) {
			emu := startEmulator(t, cosemu.Options{})
			s := startSidecar(t, program(), sidecarEnv(emu)...)
			if status, response := postForm(t, s, "before", &pattern{}, size); status != http.StatusNoContent {
				t.Fatalf("%d %s", status, response)
			}
			if !emu.Revoke(emu.Requests()[0].SecretID) {
				t.Fatal("COS does not know the credentials")
			}
			if status, response := postForm(t, s, "after", &pattern{}, size); status != http.StatusNoContent {
				t.Errorf("%d %s", status, response)
			}
			if o, _ := emu.Object(bucket, "after"); o.Size != size {
				t.Errorf("stored %d bytes, want %d", o.Size, size)
			}
		})
	}
}

// TestForm_Memory checks the peak memory of the sidecar after a form of 256 MiB.
func TestForm_Memory(t *testing.T) {
	t.Parallel()
	const size, limit = 256 << 20, 40 << 20
	emu := startEmulator(t, cosemu.Options{})
	s := startSidecar(t, filepath.Join(bin, "cosproxy"), sidecarEnv(emu)...)
	if status, response := postForm(t, s, "large", &pattern{}, size); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, response)
	}
	if o, _ := emu.Object(bucket, "large"); o.Size != size {
		t.Errorf("stored %d bytes, want %d", o.Size, size)
	}
	checkPeakRSS(t, s, limit)
}

// postForm uploads size bytes of content as a browser does.
func postForm(t testing.TB, s *sidecar, key string, content io.Reader, size int64) (int, string) {
	t.Helper()
	const head = "--b123\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n%s\r\n--b123\r\n" +
		"Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
	const end = "\r\n--b123--\r\n"
	before := fmt.Sprintf(head, key)
	body := io.MultiReader(strings.NewReader(before), io.LimitReader(content, size), strings.NewReader(end))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(len(before)+len(end)) + size
	req.Header.Set("Content-Type", "multipart/form-data; boundary=b123")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	response, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(response)
}
