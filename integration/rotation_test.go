package integration_test

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// TestRotation_UnderLoad keeps a constant load on the sidecar for 30 s with
// credentials of 5 s. No request fails, and the sidecar calls STS about once in two
// thirds of a lifetime.
func TestRotation_UnderLoad(t *testing.T) {
	t.Parallel()
	const (
		life    = 5 * time.Second
		span    = 30 * time.Second
		workers = 8
		pause   = 5 * time.Millisecond
	)
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, CredentialsDuration: life})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	s.waitReady(t)

	start := time.Now()
	var requests, failures atomic.Int64
	var wg sync.WaitGroup
	end := start.Add(span)
	for w := range workers {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				url := fmt.Sprintf("%s/load/%d/%d", s.url, w, i%10)
				body := fmt.Appendf(nil, "worker %d round %d", w, i)
				if status, response := do(t, http.MethodPut, url, bytes.NewReader(body)); status != http.StatusOK {
					failures.Add(1)
					t.Errorf("PUT %s: %d %s", url, status, response)
				}
				if status, got := do(t, http.MethodGet, url, nil); status != http.StatusOK || !bytes.Equal(got, body) {
					failures.Add(1)
					t.Errorf("GET %s: %d %s", url, status, got)
				}
				requests.Add(2)
				time.Sleep(pause)
			}
		})
	}
	wg.Wait()

	calls := int64(emu.Stats().STSCalls)
	t.Logf("%d requests, %d failures, %d STS calls", requests.Load(), failures.Load(), calls)
	// STS counts whole seconds, so credentials live 4 to 5 s; a refresh comes at 2/3
	// of that ± 10 %, after 2.4 s at the earliest.
	took := time.Since(start)
	if minCalls, maxCalls := int64(span/life), int64(took/(2400*time.Millisecond))+2; calls < minCalls || calls > maxCalls {
		t.Errorf("%d STS calls in %v with credentials of %v, want %d to %d", calls, took, life, minCalls, maxCalls)
	}
}
