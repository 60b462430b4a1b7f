package s3clients_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// Credentials of the clients. Requests at COS must not have them.
const (
	dummyID  = "dummy-id"
	dummyKey = "dummy-key"
)

// program is the path of the cosproxy that the tests run.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cosproxy-s3clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "cosproxy")
	build := exec.Command("go", "build", "-o", program, "./cmd/cosproxy")
	build.Dir, build.Stdout, build.Stderr = filepath.Join("..", ".."), os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build ./cmd/cosproxy:", err)
		return 1
	}
	return m.Run()
}

// sidecar is a running cosproxy with an emulator behind it.
type sidecar struct {
	emu    *cosemu.Server
	scheme string // of the listener for clients
	addr   string
	cert   string // file with the certificate of the listener; empty with http
	roots  *x509.CertPool
}

// url is the endpoint for clients, with an IP address.
func (s *sidecar) url() string { return s.scheme + "://" + s.addr }

// localhost is the endpoint for clients that put the bucket in front of the host.
func (s *sidecar) localhost() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return s.scheme + "://localhost:" + port
}

// transport connects to the sidecar for every host.
func (s *sidecar) transport(t *testing.T) *http.Transport {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.addr)
		},
		TLSClientConfig: &tls.Config{RootCAs: s.roots}, MaxIdleConnsPerHost: 32,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (s *sidecar) client(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{Transport: s.transport(t), Timeout: time.Minute}
}

// bySchemes runs test with a sidecar that listens for HTTP, and with one that listens for TLS.
func bySchemes(t *testing.T, test func(*testing.T, *sidecar)) {
	t.Helper()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			test(t, startSidecar(t, scheme))
		})
	}
}

// startSidecar runs cosproxy until the end of the test, and then checks what arrived at COS.
func startSidecar(t *testing.T, scheme string) *sidecar {
	t.Helper()
	emu, err := cosemu.Start(cosemu.Options{StrictSignature: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &sidecar{emu: emu, scheme: scheme}
	cmd := exec.Command(program)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=off", "COSPROXY_LOG_FORMAT=json", "COSPROXY_SPLAY=0s",
		"COSPROXY_BUCKET=" + bucket, "COSPROXY_REGION=" + region, "COSPROXY_ALLOW_PREFIXES=*",
		"COSPROXY_ALLOW_ACTIONS=read,write,list,delete,acl,name/cos:HeadBucket,name/cos:GetService,name/cos:GetBucketLocation,name/cos:GetBucketCORS",
		"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO=" + emu.COSAddr(),
		"COSPROXY_STS_ENDPOINT=" + emu.STSURL(), "TENCENTCLOUD_SECRET_ID=" + emu.SecretID(), "TENCENTCLOUD_SECRET_KEY=" + emu.SecretKey(),
	}
	if scheme == "https" {
		var key string
		s.cert, key, s.roots = selfSigned(t)
		cmd.Env = append(cmd.Env, "COSPROXY_TLS_CERT_FILE="+s.cert, "COSPROXY_TLS_KEY_FILE="+key)
	}
	var log syncBuffer
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, exited := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(exited)
		defer func() { _ = cmd.Wait() }()
		readLog(stderr, &log, listening)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			t.Error("cosproxy did not end in time")
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			text := log.String()
			t.Logf("log of cosproxy:\n%s", text[max(0, len(text)-8000):])
		}
		checkArrivals(t, emu)
		if err := emu.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case s.addr = <-listening:
	case <-exited:
		t.Fatalf("cosproxy ended before it listened:\n%s", log.String())
	case <-time.After(30 * time.Second):
		t.Fatalf("cosproxy does not listen:\n%s", log.String())
	}
	return s
}

// readLog copies the log of cosproxy, and sends the address in it to listening.
func readLog(stderr io.Reader, log io.Writer, listening chan<- string) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for sent := false; lines.Scan(); {
		_, _ = log.Write(append(bytes.Clone(lines.Bytes()), '\n'))
		var start struct {
			Listen string `json:"cosproxy.listen"`
		}
		if !sent && json.Unmarshal(lines.Bytes(), &start) == nil && start.Listen != "" {
			sent = true
			listening <- start.Listen
		}
	}
}

var signedHeaders = regexp.MustCompile(`^AWS4-HMAC-SHA256 .*SignedHeaders=([^,]*)`)

// checkArrivals checks the last requests at COS: each has temporary credentials, and every
// x-amz-* header of an S3 request is signed. None has anything of the client's signature.
func checkArrivals(t *testing.T, emu *cosemu.Server) {
	t.Helper()
	ofS3 := 0
	for _, r := range emu.Requests() {
		creds, known := emu.Credentials(r.SecretID)
		if !known || creds.Token == "" || strings.Contains(r.URI, dummyID) {
			t.Errorf("%s %s has the credentials %q", r.Method, r.URI, r.SecretID)
		}
		if r.Dialect != cosemu.DialectS3 {
			continue
		}
		ofS3++
		var names []string
		// The signature of a form is in its fields, and its headers are not signed.
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
			signed := signedHeaders.FindStringSubmatch(r.Header.Get("Authorization"))
			if signed == nil || r.Header.Get("x-amz-security-token") != creds.Token {
				t.Errorf("%s %s is signed as %q", r.Method, r.URI, r.Header.Get("Authorization"))
				continue
			}
			names = strings.Split(signed[1], ";")
		}
		for name, values := range r.Header {
			name = strings.ToLower(name)
			if strings.HasPrefix(name, "x-amz-") && !slices.Contains(names, name) {
				t.Errorf("%s %s: %s is not signed", r.Method, r.URI, name)
			}
			if name == "x-cos-security-token" || strings.Contains(strings.Join(values, " "), dummyID) {
				t.Errorf("%s %s: %s: %v", r.Method, r.URI, name, values)
			}
		}
	}
	if ofS3 == 0 {
		t.Error("no S3 request arrived")
	}
}

// fill stores empty objects in the sidecar's bucket.
func (s *sidecar) fill(t *testing.T, keys []string) {
	t.Helper()
	client, next := s.client(t), make(chan string)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for key := range next {
				if status, text := send(t, client, http.MethodPut, s.url()+"/"+key, nil, ""); status != http.StatusOK {
					t.Errorf("%s: %d %s", key, status, text)
				}
			}
		})
	}
	for _, key := range keys {
		next <- key
	}
	close(next)
	all.Wait()
}

// manyKeys are the keys of more than two pages of a list, in order.
func manyKeys() []string {
	keys := make([]string, 2500)
	for i := range keys {
		keys[i] = fmt.Sprintf("many/%d/key-%04d", i/1000, i)
	}
	return keys
}

// selfSigned returns files with a certificate for loopback and the bucket, and its key.
func selfSigned(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames:    []string{"localhost", bucket + ".localhost", cosHost, bucket + "." + cosHost},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(text)
	return writeFile(t, "cert.pem", text), writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), roots
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
