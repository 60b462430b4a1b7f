package integration_test

import (
	"bytes"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// For a minute: go test -race -parallel 7 -run TestRejections_AtRandom ./integration -rejections 1m.
var rejectionsSpan = flag.Duration("rejections", 0, "duration of TestRejections_AtRandom with 1 of 1000 requests rejected; 0: a fixed number of requests")

// rejectionsSeed and the following seeds cause early faults.
const rejectionsSeed = 374

// startWithSource runs the sidecar with one of the sources and its own emulator.
func startWithSource(t *testing.T, source string) (*cosemu.Server, *sidecar) {
	t.Helper()
	identity := rand.Text()
	role := cosemu.Role{
		ARN: "qcs::cam::uin/100000000001:roleName/cosemu", Instance: true,
		ProviderID: "provider", WebIdentityToken: func() string { return identity },
	}
	second := cosemu.Role{ARN: "qcs::cam::uin/100000000001:roleName/second", TrustedRoles: []string{role.ARN}}
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, Roles: []cosemu.Role{role, second}})
	creds := cosemu.Credentials{SecretID: "AKID" + rand.Text(), SecretKey: rand.Text(), Token: rand.Text()}
	if err := emu.AddCredentials(creds); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	source, chained := strings.CutSuffix(source, "-role")
	env := append(sidecarEnv(emu), "COSPROXY_SOURCE="+source)
	if chained {
		env = append(env, "COSPROXY_ROLE_ARN="+second.ARN)
	}
	switch source {
	case "role":
		env = append(env, "COSPROXY_ROLE_ARN="+role.ARN)
	case "oidc":
		env = append(env, "TKE_REGION="+region, "TKE_PROVIDER_ID="+role.ProviderID, "TKE_ROLE_ARN="+role.ARN,
			"TKE_WEB_IDENTITY_TOKEN_FILE="+write("identity", identity))
	case "cvm":
		env = append(env, "COSPROXY_CVM_METADATA_ENDPOINT="+emu.MetadataURL())
	case "http":
		env = append(env, "COSPROXY_CREDENTIALS_URL="+emu.CredentialsServerURL())
	case "file":
		env = append(env, "COSPROXY_CREDENTIALS_FILE="+write("key.json",
			fmt.Sprintf(`{"secretId":%q,"secretKey":%q,"token":%q}`, creds.SecretID, creds.SecretKey, creds.Token)))
	case "static":
		env = append(env, "TENCENTCLOUD_SECRET_ID="+creds.SecretID, "TENCENTCLOUD_SECRET_KEY="+creds.SecretKey, "TENCENTCLOUD_TOKEN="+creds.Token)
	}
	s := startSidecar(t, program(), env...)
	s.waitReady(t)
	return emu, s
}

var fetchesMetric = regexp.MustCompile(`(?m)^cosproxy_credentials_fetches_total\{bucket="[^"]+",.*\} (\d+)$`)

// fetches returns the number of fetches from the source.
func (s *sidecar) fetches(t *testing.T) int {
	t.Helper()
	_, page := do(t, http.MethodGet, s.admin+"/metrics", nil)
	match := fetchesMetric.FindSubmatch(page)
	if match == nil {
		t.Fatalf("no fetches in\n%s", page)
	}
	n, err := strconv.Atoi(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mixedLoad sends requests from 8 workers while more returns true. It returns the
// number of requests, and of those that COS rejected. Any other failure fails the
// test.
func mixedLoad(t *testing.T, s *sidecar, more func(sent int64) bool) (sent, rejected int64) {
	t.Helper()
	small, large := []byte("small"), bytes.Repeat([]byte("large"), 20<<10)
	for key, body := range map[string][]byte{"small": small, "large": large} {
		if status, response := do(t, http.MethodPut, s.url+"/"+key, bytes.NewReader(body)); status != http.StatusOK {
			t.Fatalf("PUT %s: %d %s", key, status, response)
		}
	}
	var sentSoFar, rejectedSoFar atomic.Int64
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for n := sentSoFar.Add(1); more(n); n = sentSoFar.Add(1) {
				var body io.Reader
				method, target, want := http.MethodGet, "/small", small
				switch n % 16 {
				case 0:
					method, target, body, want = http.MethodPut, fmt.Sprint("/mixed/", w), bytes.NewReader(small), nil
				case 1: // too large to be buffered for a retry
					method, target, body, want = http.MethodPut, fmt.Sprint("/mixed/", w), bytes.NewReader(large), nil
				case 2:
					method, want = http.MethodHead, nil
				case 3:
					target, want = "/?prefix=mixed/", nil
				case 4:
					target, want = "/large", large
				}
				status, response := do(t, method, s.url+target, body)
				switch {
				case status == http.StatusForbidden || status == http.StatusBadRequest:
					rejectedSoFar.Add(1)
				case status != http.StatusOK || want != nil && !bytes.Equal(response, want):
					t.Errorf("%s %s: %d, %d bytes: %.300s", method, target, status, len(response), response)
				}
			}
		})
	}
	workers.Wait()
	return sentSoFar.Load() - 8, rejectedSoFar.Load() // each worker counts one that it does not send
}

// checkReadyUntilStopped checks all the time that the sidecar is ready, until the end
// of the test or the call of stop.
func checkReadyUntilStopped(t *testing.T, s *sidecar) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			if status, why := do(t, http.MethodGet, s.admin+"/readyz", nil); status != http.StatusOK {
				t.Errorf("readyz: %d %s", status, why)
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); watching.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestRejections_AtRandom makes COS reject valid credentials at random. The
// application sees almost no errors, the sidecar stays ready, and calls its source
// rarely. A request can fail only after two faults in a row, with COS's own response.
func TestRejections_AtRandom(t *testing.T) {
	t.Parallel()
	unknown := cosemu.COSFault{Status: http.StatusForbidden, Code: "InvalidAccessKeyId", Message: "The Access Key Id you provided does not exist in our records"}
	few := []string{"sts", "static"} // one with and one without other credentials
	for _, tt := range []struct {
		name     string
		fault    cosemu.COSFault
		sources  []string
		oneIn    int
		requests int64
		burst    int // fetches in addition to one in 10 s
	}{
		{"unknown key, 1 of 1000", unknown, sources, 1000, 1000, 1},
		// Two faults in a row are likely.
		{"unknown key, 1 of 100", unknown, sources, 100, 600, 5},
		{"expired token, 1 of 100", cosemu.COSFault{Status: http.StatusBadRequest, Code: "ExpiredToken", Message: "The provided token has expired."}, few, 100, 300, 5},
		{"denied, 1 of 100", cosemu.COSFault{Status: http.StatusForbidden, Code: "AccessDenied", Message: "InvalidAccessKeyId"}, few, 100, 300, 5},
	} {
		for i, source := range tt.sources {
			t.Run(tt.name+", "+source, func(t *testing.T) {
				t.Parallel()
				emu, s := startWithSource(t, source)
				before, start := s.fetches(t), time.Now()
				if status, response := do(t, http.MethodPut, s.url+"/first", bytes.NewReader(nil)); status != http.StatusOK {
					t.Fatalf("PUT: %d %s", status, response)
				}
				fault := tt.fault
				fault.OneIn, fault.Seed = tt.oneIn, rejectionsSeed+uint64(i%8) // the ninth seed has no fault in 1000 requests
				emu.SetCOSFault(fault)
				stop := checkReadyUntilStopped(t, s)
				sent, rejected := mixedLoad(t, s, func(n int64) bool {
					return n <= tt.requests || tt.oneIn == 1000 && time.Since(start) < *rejectionsSpan
				})
				stop()
				took, faults := time.Since(start), emu.Stats().COSFaults
				extra := s.fetches(t) - before
				t.Logf("%d requests in %v, %d faults, %d requests rejected, %d fetches", sent, took.Round(time.Millisecond), faults, rejected, extra)
				if faults == 0 {
					t.Fatal("no faults; use another seed")
				}
				if limit := int64(2 + faults/10); rejected > limit {
					t.Errorf("%d requests were rejected after %d faults, want at most %d", rejected, faults, limit)
				}
				limit := int(took/(10*time.Second)) + tt.burst
				if source == "file" { // cosproxy reads it every minute
					limit += int(took / time.Minute)
				}
				if extra > limit {
					t.Errorf("%d more fetches in %v, want at most %d", extra, took, limit)
				}
			})
		}
	}
}

// TestRejections_TwoRevocations revokes credentials twice within two seconds. With a
// source that has other credentials, no request fails.
func TestRejections_TwoRevocations(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"sts", "role", "oidc", "oidc-role", "http"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			emu, s := startWithSource(t, source)
			before := s.fetches(t)
			stop := checkReadyUntilStopped(t, s)
			var revoked []string
			var revoking sync.WaitGroup
			revoking.Go(func() {
				for range 2 {
					time.Sleep(time.Second)
					requests := emu.Requests()
					id := requests[len(requests)-1].SecretID
					if revoked = append(revoked, id); !emu.Revoke(id) {
						t.Errorf("COS does not know %s", id)
					}
				}
			})
			start := time.Now()
			sent, rejected := mixedLoad(t, s, func(int64) bool { return time.Since(start) < 3*time.Second })
			revoking.Wait()
			stop()
			if rejected > 0 {
				t.Errorf("%d of %d requests were rejected", rejected, sent)
			}
			if extra := s.fetches(t) - before; extra != 2 || slices.Contains(revoked[1:], revoked[0]) {
				t.Errorf("%d more fetches after %q were revoked, want 2", extra, revoked)
			}
		})
	}
}

// TestRejections_NoOtherCredentials checks that the client gets COS's own response if
// there are no other credentials, that the sidecar stays ready, and that requests
// succeed when COS accepts the credentials again.
func TestRejections_NoOtherCredentials(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"cvm", "file", "static"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			emu, s := startWithSource(t, source)
			defer checkReadyUntilStopped(t, s)()
			before := s.fetches(t)
			emu.SetCOSFault(cosemu.COSFault{Status: http.StatusForbidden, Code: "InvalidAccessKeyId"})
			for range 100 {
				if status, response := do(t, http.MethodGet, s.url+"/key", nil); status != http.StatusForbidden || !bytes.Contains(response, []byte("<Code>InvalidAccessKeyId</Code>")) {
					t.Fatalf("GET: %d %s", status, response)
				}
			}
			if extra := s.fetches(t) - before; extra > 6 {
				t.Errorf("%d more fetches, want at most 5 and one in 10 s", extra)
			}
			emu.SetCOSFault(cosemu.COSFault{})
			if status, response := do(t, http.MethodPut, s.url+"/key", bytes.NewReader(nil)); status != http.StatusOK {
				t.Errorf("PUT: %d %s", status, response)
			}
		})
	}
}
