package integration_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

var invalidResponse = "<html><body>captive portal</body></html>"

// TestOutage_AtStart checks that the sidecar starts without credentials, reports why
// it is not ready, responds with 503 in COS's form, and works as soon as STS does.
func TestOutage_AtStart(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cosemu.SourceFault{
		"down":    {Drop: true},
		"failing": {Status: http.StatusInternalServerError},
		"limited": {Code: "RequestLimitExceeded", Message: "slow down"},
		"garbage": {Body: &invalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			emu := startEmulator(t, cosemu.Options{StrictSignature: true})
			emu.SetSTSFault(fault)
			s := startSidecar(t, program(), sidecarEnv(emu)...)

			if status, _ := do(t, http.MethodGet, s.admin+"/livez", nil); status != http.StatusOK {
				t.Errorf("livez: %d, want 200", status)
			}
			if status, why := do(t, http.MethodGet, s.admin+"/readyz", nil); status != http.StatusServiceUnavailable || len(why) == 0 {
				t.Errorf("readyz: %d %q, want 503 and a reason", status, why)
			}
			resp, err := client.Get(s.url + "/key")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			var response cos.ErrorResponse
			if err := xml.Unmarshal(body, &response); err != nil || resp.StatusCode != http.StatusServiceUnavailable || response.Code != "ServiceUnavailable" {
				t.Errorf("without credentials: %s %s", resp.Status, body)
			}
			if resp.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if n := emu.Stats().COSRequests; n != 0 {
				t.Errorf("%d requests reached COS unsigned", n)
			}

			emu.SetSTSFault(cosemu.SourceFault{})
			s.waitReady(t)
			if status, body := do(t, http.MethodPut, s.url+"/key", strings.NewReader("x")); status != http.StatusOK {
				t.Errorf("after the outage: %d %s", status, body)
			}
			if strings.Contains(s.log.String(), emu.SecretKey()) {
				t.Error("the long-lived SecretKey is in the log")
			}
		})
	}
}

// TestOutage_ValidCredentials checks that no request fails while the credentials are
// valid, for any failure of STS. Then requests get 503 until the outage is over.
func TestOutage_ValidCredentials(t *testing.T) {
	t.Parallel()
	const life = 6 * time.Second
	for name, fault := range map[string]cosemu.SourceFault{
		"down":    {Drop: true},
		"hanging": {Delay: time.Hour},
		"slow":    {Delay: 2 * time.Second, Drop: true},
		"garbage": {Body: &invalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			emu := startEmulator(t, cosemu.Options{StrictSignature: true, CredentialsDuration: life})
			s := startSidecar(t, program(), sidecarEnv(emu)...)
			s.waitReady(t)
			emu.SetSTSFault(fault)
			// STS counts whole seconds, so the credentials live up to a second less;
			// one more second is for slow machines.
			for end := time.Now().Add(life - 2*time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if status, body := do(t, http.MethodPut, s.url+"/key", strings.NewReader("x")); status != http.StatusOK {
					t.Fatalf("with valid credentials: %d %s", status, body)
				}
			}
			waitStatus(t, s.url+"/?prefix=key", http.StatusServiceUnavailable)
			emu.SetSTSFault(cosemu.SourceFault{})
			waitStatus(t, s.url+"/?prefix=key", http.StatusOK)
		})
	}
}

// TestOutage_SlowSTS checks that requests wait only for the first credentials if STS
// takes 2 s to respond.
func TestOutage_SlowSTS(t *testing.T) {
	t.Parallel()
	const life = 10 * time.Second
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, CredentialsDuration: life})
	emu.SetSTSFault(cosemu.SourceFault{Delay: 2 * time.Second})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	for end := time.Now().Add(2 * life); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if status, body := do(t, http.MethodPut, s.url+"/key", strings.NewReader("x")); status != http.StatusOK {
			t.Fatalf("with a slow STS: %d %s", status, body)
		}
	}
}

// waitStatus repeats a GET until its response has this status.
func waitStatus(t *testing.T, url string, status int) {
	t.Helper()
	last := 0
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if last, _ = do(t, http.MethodGet, url, nil); last == status {
			return
		}
	}
	t.Fatalf("GET %s: still %d, want %d", url, last, status)
}
