package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// TestUpstream_HTTPProxy checks that HTTP_PROXY applies without COSPROXY_CONNECT_TO.
func TestUpstream_HTTPProxy(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), append(sidecarEnv(emu),
		"COSPROXY_CONNECT_TO=", "HTTP_PROXY=http://"+emu.COSAddr())...)
	if status, body := do(t, http.MethodPut, s.url+"/key", strings.NewReader("x")); status != http.StatusOK {
		t.Fatalf("PUT: %d %s", status, body)
	}
	if uri := emu.Requests()[0].URI; !strings.HasPrefix(uri, "http://"+bucket+".cos.") {
		t.Errorf("request target %q, want the absolute form for proxies", uri)
	}
}

// TestUpstream_PrivateCA checks the default endpoint, which is https, with
// COSPROXY_CA_FILE and COSPROXY_CONNECT_TO. The TLS name stays that of the bucket.
func TestUpstream_PrivateCA(t *testing.T) {
	t.Parallel()
	host := bucket + ".cos." + region + ".myqcloud.com"
	cert, caFile := selfSigned(t, host)
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	env := append(sidecarEnv(emu), "COSPROXY_ENDPOINT=https://{bucket}.cos.{region}.myqcloud.com")

	s := startSidecar(t, program(), append(env, "COSPROXY_CA_FILE="+caFile)...)
	if status, body := do(t, http.MethodPut, s.url+"/key", strings.NewReader("x")); status != http.StatusOK {
		t.Errorf("with the CA: %d %s", status, body)
	}
	stranger := startSidecar(t, program(), env...)
	if status, _ := do(t, http.MethodPut, stranger.url+"/key", strings.NewReader("x")); status != http.StatusBadGateway {
		t.Errorf("without the CA: %d, want 502", status)
	}
}

func selfSigned(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		DNSNames:              []string{host},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
