package integration_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"cosproxy/integration/cosemu"
)

// TestSpareDomain checks that requests reach COS at the spare domain if the network leads
// to that one only, and that COS accepts their signatures there.
func TestSpareDomain(t *testing.T) {
	t.Parallel()
	main, spare := bucket+".cos."+region+".myqcloud.com", bucket+".cos."+region+".tencentcos.cn"
	cert, caFile := selfSigned(t, spare)
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	proxy := startTunnels(t, spare+":443", emu.COSAddr())
	s := startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ENDPOINT=https://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO=",
		"COSPROXY_CA_FILE="+caFile, "COSPROXY_SPARE_DOMAIN=true", "HTTPS_PROXY="+proxy.URL)...)

	large := strings.Repeat("x", 1<<20)
	for _, object := range []string{"small", large} {
		if status, body := do(t, http.MethodPut, s.url+"/key", strings.NewReader(object)); status != http.StatusOK {
			t.Fatalf("PUT of %d bytes: %d %s", len(object), status, body)
		}
		if status, body := do(t, http.MethodGet, s.url+"/key", nil); status != http.StatusOK || string(body) != object {
			t.Errorf("GET of %d bytes: %d, %d bytes", len(object), status, len(body))
		}
	}
	if n := proxy.count(main + ":443"); n != 1 {
		t.Errorf("cosproxy tried the main domain %d times, want once", n)
	}
}

// tunnels is an HTTP proxy that has a tunnel to one destination, and 502 for all others.
type tunnels struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string
}

func startTunnels(t *testing.T, destination, address string) *tunnels {
	t.Helper()
	p := &tunnels{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Host)
		p.mu.Unlock()
		if r.Method != http.MethodConnect || r.Host != destination {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		to, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		w.WriteHeader(http.StatusOK)
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		go func() {
			_, _ = io.Copy(from, to)
			from.Close()
		}()
		_, _ = io.Copy(to, buffered)
	}))
	t.Cleanup(p.Close)
	return p
}

// count returns how often a destination was requested.
func (p *tunnels) count(destination string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(p.asked), func(d string) bool { return d != destination }))
}
