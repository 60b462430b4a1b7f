package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// pair is a self-signed certificate for 127.0.0.1, in two files.
type pair struct{ cert, key string }

func newPair(t *testing.T, name string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		cert: file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		key:  file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))),
	}
}

func (p pair) settings() []string {
	return []string{"COSPROXY_TLS_CERT_FILE=" + p.cert, "COSPROXY_TLS_KEY_FILE=" + p.key}
}

// become replaces the content of the files of p.
func (p pair) become(t *testing.T, other pair) {
	t.Helper()
	for to, from := range map[string]string{p.cert: other.cert, p.key: other.key} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// presented returns the name in the certificate of a new connection to address.
func presented(t *testing.T, address string) string {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// waitPresented polls until address presents the certificate with this name.
func waitPresented(t *testing.T, address, name string) {
	t.Helper()
	for range 600 {
		if presented(t, address) == name {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not present the certificate %s", address, name)
}

// secureGet returns the status of a GET over TLS.
func (p *process) secureGet(t *testing.T, address, path string) int {
	t.Helper()
	p.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	resp, err := p.client.Get("https://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

func TestTLS_BothListeners(t *testing.T) {
	files := newPair(t, "first")
	p := start(t, append(files.settings(), "TENCENTCLOUD_TOKEN="+testToken)...)
	if line := p.logs.wait(t, "serving"); line["cosproxy.tls"] != true {
		t.Errorf("the start line is %v", line)
	}
	if status := p.secureGet(t, p.app, "/outside"); status != http.StatusForbidden {
		t.Errorf("app: %d", status)
	}
	if status := p.secureGet(t, p.admin, "/livez"); status != http.StatusOK {
		t.Errorf("admin: %d", status)
	}
	if status, body := p.get(t, p.app, "/outside"); status != http.StatusBadRequest || !strings.Contains(body, "https://") {
		t.Errorf("plain HTTP got %d %s", status, body)
	}
	if _, err := tls.Dial("tcp", p.app, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
}

// TestTLS_CertificateReplaced uses a connection that is older than the certificate, and
// files that are invalid for a while.
func TestTLS_CertificateReplaced(t *testing.T) {
	files := newPair(t, "first")
	p := start(t, append(files.settings(), "TENCENTCLOUD_TOKEN="+testToken)...)
	old, err := tls.Dial("tcp", p.admin, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if got := presented(t, p.app); got != "first" {
		t.Fatalf("the certificate is %s", got)
	}
	files.become(t, newPair(t, "second"))
	waitPresented(t, p.app, "second")
	waitPresented(t, p.admin, "second")

	if err := os.WriteFile(files.cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 600 { // until the file has been read
		if got := presented(t, p.app); got != "second" {
			t.Fatalf("with a broken file the certificate is %s", got)
		}
		if strings.Contains(p.logs.all(), "the last valid pair stays in use") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.logs.contain(t, "COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE: tls: failed to find any PEM data")
	files.become(t, newPair(t, "third"))
	waitPresented(t, p.app, "third")

	if _, err := io.WriteString(old, "GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if response, err := io.ReadAll(old); err != nil || !strings.HasPrefix(string(response), "HTTP/1.0 200") {
		t.Errorf("the existing connection got %q, %v", response, err)
	}
	p.end(t, exitOK)
}
