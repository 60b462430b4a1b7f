package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

const (
	bucket = "examplebucket-1250000000"
	region = "ap-guangzhou"
)

// bin is the directory of the built programs: cosproxy as users get it, cosproxy-race
// with the race detector if the tests have it, and cosemu.
var bin string

func TestMain(m *testing.M) {
	if upstream := os.Getenv(reverseProxyTo); upstream != "" {
		fmt.Fprintln(os.Stderr, serveReverseProxy(upstream))
		os.Exit(1)
	}
	flag.Parse()
	if worker := flag.Lookup("test.fuzzworker"); worker != nil && worker.Value.String() == "true" {
		os.Exit(m.Run()) // fuzz targets need no program, and there are many workers
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cosproxy-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	builds := [][]string{
		{"build", "-o", filepath.Join(dir, "cosproxy"), "../cmd/cosproxy"},
		{"build", "-o", filepath.Join(dir, "cosemu"), "../cmd/cosemu"},
	}
	if raceEnabled {
		builds = append(builds, []string{"build", "-race", "-o", filepath.Join(dir, "cosproxy-race"), "../cmd/cosproxy"})
	}
	for _, args := range builds {
		build := exec.Command("go", args...)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n", strings.Join(args, " "), err)
			return 1
		}
	}
	return m.Run()
}

// program is the path of the cosproxy that tests run by default.
func program() string {
	if raceEnabled {
		return filepath.Join(bin, "cosproxy-race")
	}
	return filepath.Join(bin, "cosproxy")
}

func startEmulator(t testing.TB, o cosemu.Options) *cosemu.Server {
	t.Helper()
	emu, err := cosemu.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = emu.Close() })
	return emu
}

// sidecarEnv returns the environment in which cosproxy uses emu.
func sidecarEnv(emu *cosemu.Server) []string {
	return []string{
		"COSPROXY_LISTEN=127.0.0.1:0",
		"COSPROXY_ADMIN_LISTEN=127.0.0.1:0",
		"COSPROXY_LOG_FORMAT=json",
		"COSPROXY_SPLAY=0s",
		"COSPROXY_BUCKET=" + bucket,
		"COSPROXY_REGION=" + region,
		"COSPROXY_ALLOW_PREFIXES=*",
		"COSPROXY_ALLOW_ACTIONS=read,write,upload,list,delete",
		"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com",
		"COSPROXY_CONNECT_TO=" + emu.COSAddr(),
		"COSPROXY_STS_ENDPOINT=" + emu.STSURL(),
		"TENCENTCLOUD_SECRET_ID=" + emu.SecretID(),
		"TENCENTCLOUD_SECRET_KEY=" + emu.SecretKey(),
	}
}

// sidecar is a running cosproxy.
type sidecar struct {
	url, admin string
	cmd        *exec.Cmd
	log        syncBuffer
	exited     chan struct{}
}

// startSidecar runs a program with env (later entries win) and waits until it listens.
// It kills the program at the end of the test.
func startSidecar(t testing.TB, name string, env ...string) *sidecar {
	t.Helper()
	return startCommand(t, exec.Command(name), env...)
}

// startCommand is startSidecar for a command that starts cosproxy.
func startCommand(t testing.TB, cmd *exec.Cmd, env ...string) *sidecar {
	t.Helper()
	s := &sidecar{cmd: cmd, exited: make(chan struct{})}
	s.cmd.Env = append(cleanEnv(), env...)
	inOwnGroup(s.cmd) // so that cosemu's child is killed too
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	go s.watch(stderr, listening)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("log of cosproxy:\n%s", tail(s.log.String(), 8000))
		}
		if strings.Contains(s.log.String(), "DATA RACE") {
			t.Errorf("data race in cosproxy:\n%s", s.log.String())
		}
	})
	select {
	case <-listening:
	case <-s.exited:
		t.Fatalf("cosproxy ended before it listened:\n%s", s.log.String())
	}
	return s
}

// kill ends the program and its children. It lets cosemu clean up first.
func (s *sidecar) kill() {
	signalGroup(s.cmd, syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(3 * time.Second):
		signalGroup(s.cmd, syscall.SIGKILL)
		<-s.exited
	}
}

// cleanEnv returns the variables of the environment that a program needs, without the
// credentials and proxies of the developer.
func cleanEnv() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GORACE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// watch stores the log and reads the addresses from its first lines.
func (s *sidecar) watch(stderr io.Reader, listening chan<- struct{}) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, _ = s.log.Write(append(bytes.Clone(lines.Bytes()), '\n'))
		var start struct {
			Listen string `json:"cosproxy.listen"`
			Admin  string `json:"cosproxy.admin_listen"`
		}
		if s.url == "" && json.Unmarshal(lines.Bytes(), &start) == nil && start.Listen != "" {
			s.url, s.admin = "http://"+start.Listen, "http://"+start.Admin
			close(listening)
		}
	}
	_ = s.cmd.Wait()
	close(s.exited)
}

// stop sends SIGTERM and returns the exit code.
func (s *sidecar) stop(t testing.TB) int {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	return s.cmd.ProcessState.ExitCode()
}

// waitReady polls the admin listener until the sidecar has credentials.
func (s *sidecar) waitReady(t testing.TB) {
	t.Helper()
	for range 500 {
		resp, err := client.Get(s.admin + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("cosproxy did not become ready")
}

// sdkBySidecar returns the official SDK with the sidecar as BucketURL and dummy
// credentials.
func sdkBySidecar(t testing.TB, s *sidecar) *cos.Client {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	return cos.NewClient(&cos.BaseURL{BucketURL: u}, &http.Client{
		Transport: &cos.AuthorizationTransport{SecretID: "dummy-id", SecretKey: "dummy-key", Transport: &http.Transport{}},
	})
}

// sdkDirect returns the official SDK for the emulator itself, with the long-lived
// credentials of the account.
func sdkDirect(t testing.TB, emu *cosemu.Server) *cos.Client {
	t.Helper()
	u, err := url.Parse("http://" + bucket + ".cos." + region + ".myqcloud.com")
	if err != nil {
		t.Fatal(err)
	}
	return cos.NewClient(&cos.BaseURL{BucketURL: u}, &http.Client{
		Transport: &cos.AuthorizationTransport{
			SecretID: emu.SecretID(), SecretKey: emu.SecretKey(),
			Transport: &http.Transport{
				Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://" + emu.COSAddr()) },
			},
		},
	})
}

// waitInFlight waits until the sidecar has n requests in flight.
func (s *sidecar) waitInFlight(t testing.TB, n int) {
	t.Helper()
	for range 500 {
		if _, page := do(t, http.MethodGet, s.admin+"/status", nil); strings.Contains(string(page), fmt.Sprintf(" %d requests in flight", n)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the sidecar never had %d requests in flight", n)
}

// do sends one request and returns the status and the whole body.
func do(t testing.TB, method, url string, body io.Reader) (int, []byte) {
	t.Helper()
	if method == http.MethodGet || method == http.MethodHead {
		body = http.NoBody
	}
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

// client ignores the proxy variables of the environment.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

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
