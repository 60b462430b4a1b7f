package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

// TestPlus_RawAndEscaped uses keys with a raw and with an escaped plus. COS reads a
// raw plus in the path as a blank when it verifies the signature, and so does the
// emulator.
func TestPlus_RawAndEscaped(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	for target, key := range map[string]string{"/a+b": "a+b", "/c%2Bd": "c+d", "/e+%2B%2Ff{": "e++/f{"} {
		if status, response := do(t, http.MethodPut, s.url+target, strings.NewReader(target)); status != http.StatusOK {
			t.Fatalf("PUT %s: %d %s", target, status, response)
		}
		if got := string(readDirect(t, emu, key)); got != target {
			t.Errorf("%q holds %q, want %q", key, got, target)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+"/copy", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-cos-copy-source", req.URL.Host+target)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := string(readDirect(t, emu, "copy")); resp.StatusCode != http.StatusOK || got != target {
			t.Errorf("copy of %s: status %d, and the copy holds %q", target, resp.StatusCode, got)
		}
	}
}
