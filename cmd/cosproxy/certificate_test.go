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

// pair is a self-made certificate for 127.0.0.1, in two files.
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

// become replaces what p's files hold.
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

// shown is the name on the certificate that a new connection to address gets.
func shown(t *testing.T, address string) string {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// waitShown polls until address shows the certificate with this name.
func waitShown(t *testing.T, address, name string) {
	t.Helper()
	for range 600 {
		if shown(t, address) == name {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not show the certificate %s", address, name)
}

// secureGet is a GET over TLS.
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

func TestTLS(t *testing.T) {
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
		t.Error("TLS 1.1 is spoken")
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
}

// TestCertificateIsReplaced has a connection that outlives its certificate, and
// files that are wrong for a while.
func TestCertificateIsReplaced(t *testing.T) {
	files := newPair(t, "first")
	p := start(t, append(files.settings(), "TENCENTCLOUD_TOKEN="+testToken)...)
	old, err := tls.Dial("tcp", p.admin, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if got := shown(t, p.app); got != "first" {
		t.Fatalf("the certificate is %s", got)
	}
	files.become(t, newPair(t, "second"))
	waitShown(t, p.app, "second")
	waitShown(t, p.admin, "second")

	if err := os.WriteFile(files.cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 600 { // until the file has been looked at
		if got := shown(t, p.app); got != "second" {
			t.Fatalf("beside a broken file the certificate is %s", got)
		}
		if strings.Contains(p.logs.all(), "the last good pair stays in use") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	contains(t, p.logs.all(), "COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE: tls: failed to find any PEM data")
	files.become(t, newPair(t, "third"))
	waitShown(t, p.app, "third")

	if _, err := io.WriteString(old, "GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(old); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200") {
		t.Errorf("the connection of before got %q, %v", answer, err)
	}
	p.end(t, exitOK)
}
