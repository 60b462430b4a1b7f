package integration_test

import (
	"bytes"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// A run of 60 s at constant load with credentials of 5 s, while half of the calls
// to STS fail.
const (
	failingSTSDuration = 5 * time.Second
	failingSTSSpan     = time.Minute
)

// sample is one request of a run.
type sample struct {
	start, end time.Time
	status     int
	body       []byte
}

// runWithFailingSTS runs the load. It returns the requests, and the times at which
// credentials were issued.
func runWithFailingSTS(t testing.TB) (samples []sample, issued []time.Time) {
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, CredentialsDuration: failingSTSDuration})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	s.waitReady(t)
	emu.SetSTSFault(cosemu.SourceFault{Percent: 50, Code: "InternalError.SystemError", Message: "half of the calls fail"})

	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(failingSTSSpan)
	wg.Go(func() {
		for time.Now().Before(end) {
			if n := emu.Stats().CredentialsIssued; n > len(issued) {
				issued = append(issued, time.Now())
			}
			time.Sleep(time.Millisecond)
		}
	})
	for range 4 {
		wg.Go(func() {
			for time.Now().Before(end) {
				x := sample{start: time.Now()}
				x.status, x.body = do(t, http.MethodPut, s.url+"/key", bytes.NewReader([]byte("hello")))
				x.end = time.Now()
				mu.Lock()
				samples = append(samples, x)
				mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	return samples, issued
}

// TestOutage_HalfOfSTSCalls checks that no request fails while there are valid
// credentials.
func TestOutage_HalfOfSTSCalls(t *testing.T) {
	t.Parallel()
	samples, issued := runWithFailingSTS(t)
	without := 0
	for _, x := range samples {
		if x.status == http.StatusOK {
			continue
		}
		// STS counts whole seconds, so credentials may live for a second less.
		valid := slices.ContainsFunc(issued, func(at time.Time) bool {
			return at.Before(x.start) && x.end.Before(at.Add(failingSTSDuration-time.Second))
		})
		if valid || x.status != http.StatusServiceUnavailable {
			t.Errorf("%d %s, with valid credentials: %v", x.status, x.body, valid)
		}
		without++
	}
	t.Logf("%d requests, %d credentials, %d requests without valid credentials", len(samples), len(issued), without)
}

// BenchmarkRefresh_Latency compares the p99 of the requests at the time of a refresh
// with the p99 of all requests.
func BenchmarkRefresh_Latency(b *testing.B) {
	samples, issued := runWithFailingSTS(b)
	var all, around []time.Duration
	for _, x := range samples {
		if x.status != http.StatusOK {
			continue
		}
		all = append(all, x.end.Sub(x.start))
		if slices.ContainsFunc(issued, func(at time.Time) bool { return x.start.Sub(at).Abs() < 50*time.Millisecond }) {
			around = append(around, x.end.Sub(x.start))
		}
	}
	if len(around) == 0 {
		b.Fatal("no request around a refresh")
	}
	b.ReportMetric(0, "ns/op") // meaningless for a whole run
	b.ReportMetric(p99(all).Seconds()*1e3, "p99-ms")
	b.ReportMetric(p99(around).Seconds()*1e3, "refresh-p99-ms")
	b.ReportMetric(p99(around).Seconds()/p99(all).Seconds(), "refresh-share")
}

func p99(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)*99/100]
}
