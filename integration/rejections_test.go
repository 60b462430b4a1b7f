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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// The whole minute: go test -race -parallel 7 -run TestRejections_AtRandom ./integration -rejections 1m.
var rejectionsSpan = flag.Duration("rejections", 0, "how long TestRejections_AtRandom has 1 of 1000 requests rejected; 0: for a fixed number of them")

// rejectionsSeed and the next ones bring faults early.
const rejectionsSeed = 374

// startFrom runs the sidecar with keys from one of the sources, against an emulator
// of its own.
func startFrom(t *testing.T, source string) (*cosemu.Server, *sidecar) {
	t.Helper()
	identity := rand.Text()
	role := cosemu.Role{
		ARN: "qcs::cam::uin/100000000001:roleName/cosemu", Instance: true,
		ProviderID: "provider", WebIdentityToken: func() string { return identity },
	}
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, Roles: []cosemu.Role{role}})
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
	env := append(sidecarEnv(emu), "COSPROXY_SOURCE="+source)
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

var fetchesMetric = regexp.MustCompile(`(?m)^cosproxy_credentials_fetches_total\{.*\} (\d+)$`)

// fetches is how often the sidecar has asked its source.
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

// mixedLoad sends requests from 8 workers at once, as long as more allows another,
// and returns how many there were and how many of them COS refused. Any other
// failure fails the test.
func mixedLoad(t *testing.T, s *sidecar, more func(sent int64) bool) (sent, refused int64) {
	t.Helper()
	small, large := []byte("small"), bytes.Repeat([]byte("large"), 20<<10)
	for key, body := range map[string][]byte{"small": small, "large": large} {
		if status, answer := do(t, http.MethodPut, s.url+"/"+key, bytes.NewReader(body)); status != http.StatusOK {
			t.Fatalf("PUT %s: %d %s", key, status, answer)
		}
	}
	var sentSoFar, refusedSoFar atomic.Int64
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for n := sentSoFar.Add(1); more(n); n = sentSoFar.Add(1) {
				var body io.Reader
				method, target, want := http.MethodGet, "/small", small
				switch n % 16 {
				case 0:
					method, target, body, want = http.MethodPut, fmt.Sprint("/mixed/", w), bytes.NewReader(small), nil
				case 1: // beyond what is kept to be sent again
					method, target, body, want = http.MethodPut, fmt.Sprint("/mixed/", w), bytes.NewReader(large), nil
				case 2:
					method, want = http.MethodHead, nil
				case 3:
					target, want = "/?prefix=mixed/", nil
				case 4:
					target, want = "/large", large
				}
				status, answer := do(t, method, s.url+target, body)
				switch {
				case status == http.StatusForbidden || status == http.StatusBadRequest:
					refusedSoFar.Add(1)
				case status != http.StatusOK || want != nil && !bytes.Equal(answer, want):
					t.Errorf("%s %s: %d, %d bytes: %.300s", method, target, status, len(answer), answer)
				}
			}
		})
	}
	workers.Wait()
	return sentSoFar.Load() - 8, refusedSoFar.Load() // of each worker, the last was not sent
}

// watchReady asks all the time whether the sidecar is ready, which it has to be. It
// ends with the test, or with the call of the function that it returns.
func watchReady(t *testing.T, s *sidecar) (stop func()) {
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

// TestRejections_AtRandom has COS reject good keys at random: the application sees
// next to none of it, the sidecar stays ready, and the source is hardly asked. Only
// a request that meets two faults in a row can fail, and only by COS's response.
func TestRejections_AtRandom(t *testing.T) {
	t.Parallel()
	unknown := cosemu.COSFault{Status: http.StatusForbidden, Code: "InvalidAccessKeyId", Message: "The Access Key Id you provided does not exist in our records"}
	few := []string{"sts", "static"} // one that has other keys, and one that has none
	for _, tt := range []struct {
		name     string
		fault    cosemu.COSFault
		sources  []string
		oneIn    int
		requests int64
		burst    int // fetches besides one in 10 s
	}{
		{"unknown key, 1 of 1000", unknown, sources, 1000, 1000, 1},
		// Two in a row are likely here.
		{"unknown key, 1 of 100", unknown, sources, 100, 600, 5},
		{"expired token, 1 of 100", cosemu.COSFault{Status: http.StatusBadRequest, Code: "ExpiredToken", Message: "The provided token has expired."}, few, 100, 300, 5},
		{"denied, 1 of 100", cosemu.COSFault{Status: http.StatusForbidden, Code: "AccessDenied", Message: "InvalidAccessKeyId"}, few, 100, 300, 5},
	} {
		for i, source := range tt.sources {
			t.Run(tt.name+", "+source, func(t *testing.T) {
				t.Parallel()
				emu, s := startFrom(t, source)
				before, start := s.fetches(t), time.Now()
				if status, answer := do(t, http.MethodPut, s.url+"/first", bytes.NewReader(nil)); status != http.StatusOK {
					t.Fatalf("PUT: %d %s", status, answer)
				}
				fault := tt.fault
				fault.OneIn, fault.Seed = tt.oneIn, rejectionsSeed+uint64(i)
				emu.SetCOSFault(fault)
				stop := watchReady(t, s)
				sent, refused := mixedLoad(t, s, func(n int64) bool {
					return n <= tt.requests || tt.oneIn == 1000 && time.Since(start) < *rejectionsSpan
				})
				stop()
				took, faults := time.Since(start), emu.Stats().COSFaults
				extra := s.fetches(t) - before
				t.Logf("%d requests in %v, %d faults, %d requests refused, %d fetches", sent, took.Round(time.Millisecond), faults, refused, extra)
				if faults == 0 {
					t.Fatal("nothing happened; take another seed")
				}
				if most := int64(2 + faults/10); refused > most {
					t.Errorf("%d requests were refused after %d faults, want at most %d", refused, faults, most)
				}
				most := int(took/(10*time.Second)) + tt.burst
				if source == "file" { // it is read again every minute
					most += int(took / time.Minute)
				}
				if extra > most {
					t.Errorf("%d more fetches in %v, want at most %d", extra, took, most)
				}
			})
		}
	}
}

// TestRejections_TwoRevocationsASecondApart: a source that can give another key
// makes up for both within each request.
func TestRejections_TwoRevocationsASecondApart(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"sts", "role", "oidc", "http"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			emu, s := startFrom(t, source)
			before := s.fetches(t)
			stop := watchReady(t, s)
			var revoked []string
			var revoking sync.WaitGroup
			revoking.Go(func() {
				for range 2 {
					time.Sleep(time.Second)
					requests := emu.Requests()
					id := requests[len(requests)-1].SecretID
					if revoked = append(revoked, id); !emu.Revoke(id) {
						t.Errorf("%s was not known", id)
					}
				}
			})
			start := time.Now()
			sent, refused := mixedLoad(t, s, func(int64) bool { return time.Since(start) < 3*time.Second })
			revoking.Wait()
			stop()
			if refused > 0 {
				t.Errorf("%d of %d requests were refused", refused, sent)
			}
			if extra := s.fetches(t) - before; extra != 2 || slices.Contains(revoked[1:], revoked[0]) {
				t.Errorf("%d more fetches after %q were revoked, want 2", extra, revoked)
			}
		})
	}
}

// TestRejections_OnlyKeyRevoked: where there is no other key, COS's own response
// says so, the sidecar stays ready, and all is well when COS knows the key again.
func TestRejections_OnlyKeyRevoked(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"cvm", "file", "static"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			emu, s := startFrom(t, source)
			defer watchReady(t, s)()
			before := s.fetches(t)
			emu.SetCOSFault(cosemu.COSFault{Status: http.StatusForbidden, Code: "InvalidAccessKeyId"})
			for range 100 {
				if status, answer := do(t, http.MethodGet, s.url+"/key", nil); status != http.StatusForbidden || !bytes.Contains(answer, []byte("<Code>InvalidAccessKeyId</Code>")) {
					t.Fatalf("GET: %d %s", status, answer)
				}
			}
			if extra := s.fetches(t) - before; extra > 6 {
				t.Errorf("%d more fetches, want at most 5 and one in 10 s", extra)
			}
			emu.SetCOSFault(cosemu.COSFault{})
			if status, answer := do(t, http.MethodPut, s.url+"/key", bytes.NewReader(nil)); status != http.StatusOK {
				t.Errorf("PUT: %d %s", status, answer)
			}
		})
	}
}
