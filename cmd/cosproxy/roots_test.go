package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func TestFallbackRoots_AllParse(t *testing.T) {
	n := 0
	for root := range bundle.Roots() {
		if _, err := x509.ParseCertificate(root.Certificate); err != nil {
			t.Error(err)
		}
		n++
	}
	if n < 100 {
		t.Errorf("%d embedded root certificates", n)
	}
}

// ownCA is set in the child processes of TestFallbackRoots_NoSystemRoots: to a CA file, or
// to "none".
const ownCA = "TEST_OWN_CA"

// TestFallbackRoots_NoSystemRoots runs itself again where crypto/x509 finds no root
// certificates.
func TestFallbackRoots_NoSystemRoots(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return // they always have root certificates
	}
	switch ca := os.Getenv(ownCA); ca {
	case "":
		for _, ca := range []string{"none", newPair(t, "own CA").cert} {
			none := filepath.Join(t.TempDir(), "none")
			child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
			child.Env = append(os.Environ(), ownCA+"="+ca, "SSL_CERT_FILE="+none, "SSL_CERT_DIR="+none)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("own CA %s: %v\n%s", ca, err, out)
			}
		}
	case "none":
		cfg, err := loadConfig(settingsFor())
		if err != nil {
			t.Fatal(err)
		}
		newTransports(cfg).close()
		if system, err := x509.SystemCertPool(); err != nil || !system.Equal(fallbackRoots()) {
			t.Errorf("TLS does not use the embedded certificates: %v", err)
		}
	default:
		cfg, err := loadConfig(settingsFor("COSPROXY_CA_FILE=" + ca))
		if err != nil {
			t.Fatal(err)
		}
		pem, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		want := fallbackRoots()
		if want.AppendCertsFromPEM(pem); !cfg.roots.Equal(want) {
			t.Error("the roots are not those of the file and the embedded ones")
		}
	}
}
