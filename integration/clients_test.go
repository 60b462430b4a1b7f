package integration_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// cosHost is the host of the bucket for programs without a sidecar.
const cosHost = bucket + ".cos." + region + ".myqcloud.com"

// startUnrestricted starts a sidecar that allows everything, with an emulator in
// strict signature mode.
func startUnrestricted(t *testing.T) (*cosemu.Server, *sidecar) {
	t.Helper()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	return emu, startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ALLOW_ACTIONS=*")...)
}

// proxyTransport returns a transport with the sidecar as HTTP proxy.
func proxyTransport(t *testing.T, s *sidecar) *http.Transport {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(u)}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// TestReadme_ClientTable checks that the tests in the client table of the README
// exist.
func TestReadme_ClientTable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Point your client at it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\|.*\\| `([^`]+)` \\|$").FindAllStringSubmatch(section, -1)
	if len(rows) < 8 {
		t.Fatalf("only %d rows", len(rows))
	}
	var tests strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	s3, err := filepath.Glob("s3clients/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.Concat(files, s3, []string{"node/test.mjs", "node/s3.mjs"}) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, row := range rows {
		name := row[1]
		if !slices.ContainsFunc([]string{"func " + name + "(", "name: '" + name + "'", "describe('" + name + "'"}, func(test string) bool {
			return strings.Contains(tests.String(), test)
		}) {
			t.Errorf("the README names the test %s, which does not exist", name)
		}
	}
}

// curl runs curl without the proxy variables of the environment.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("curl", append([]string{"-sS", "--fail-with-body"}, args...)...)
	cmd.Env = cleanEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("curl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// runCurlCommands runs the commands of typical shell scripts. options come before the
// arguments, and base is the URL of the bucket.
func runCurlCommands(t *testing.T, emu *cosemu.Server, base string, options ...string) {
	t.Helper()
	run := func(args ...string) string {
		t.Helper()
		return curl(t, append(options[:len(options):len(options)], args...)...)
	}
	dir := t.TempDir()
	file, down := filepath.Join(dir, "up"), filepath.Join(dir, "down")
	body := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // large enough for Expect: 100-continue of curl
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	run("-T", file, base+"/from/curl.bin")
	run("-o", down, base+"/from/curl.bin")
	got, err := os.ReadFile(down)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, body) || !bytes.Equal(readDirect(t, emu, "from/curl.bin"), body) {
		t.Errorf("curl read back %d bytes that differ from the %d sent", len(got), len(body))
	}
	if head := run("-I", base+"/from/curl.bin"); !strings.Contains(head, "Content-Length: 3200000\r\n") || !strings.Contains(head, "ETag: ") {
		t.Errorf("HEAD: %s", head)
	}
	if list := run(base + "/?prefix=from/"); !strings.Contains(list, "<Key>from/curl.bin</Key>") {
		t.Errorf("listing: %s", list)
	}
	if part := run("-r", "16-31", base+"/from/curl.bin"); part != "0123456789abcdef" {
		t.Errorf("range: %q", part)
	}
	cmd := exec.Command("curl", append(options[:len(options):len(options)], "-sS", "--fail-with-body", "-T", "-", base+"/from/stdin")...)
	cmd.Env, cmd.Stdin = cleanEnv(), strings.NewReader("of unknown length")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("curl -T -: %v\n%s", err, out)
	}
	if got := readDirect(t, emu, "from/stdin"); string(got) != "of unknown length" {
		t.Errorf("chunked upload stored %q", got)
	}
	run("-X", "DELETE", base+"/from/stdin")
	if _, exists := emu.Object(bucket, "from/stdin"); exists {
		t.Error("the object is still there")
	}
}

// TestCurl_SidecarURL runs the first example of the README.
func TestCurl_SidecarURL(t *testing.T) {
	t.Parallel()
	emu, s := startUnrestricted(t)
	runCurlCommands(t, emu, s.url)
}

// TestCurl_HostName resolves the host name of the bucket to the sidecar.
func TestCurl_HostName(t *testing.T) {
	t.Parallel()
	emu, s := startUnrestricted(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.url, "http://"), ":")
	runCurlCommands(t, emu, "http://"+cosHost+":"+port, "--resolve", cosHost+":"+port+":127.0.0.1")
	runCurlCommands(t, emu, s.url, "-H", "Host: "+bucket+".cos."+region+".tencentcos.cn")
}

// TestCurl_HTTPProxy uses the URL of the bucket and http_proxy.
func TestCurl_HTTPProxy(t *testing.T) {
	t.Parallel()
	emu, s := startUnrestricted(t)
	runCurlCommands(t, emu, "http://"+cosHost, "-x", s.url)

	cmd := exec.Command("curl", "-sS", "--fail-with-body", "http://"+cosHost+"/from/curl.bin")
	cmd.Env = append(cleanEnv(), "http_proxy="+s.url)
	if out, err := cmd.Output(); err != nil || len(out) != 3200000 {
		t.Errorf("by http_proxy: %d bytes, %v", len(out), err)
	}

	// https would hide the request; the error names the next step.
	out, err := exec.Command("curl", "-sSv", "-x", s.url, "https://"+cosHost+"/from/curl.bin").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "405 Method Not Allowed") {
		t.Errorf("https through the proxy: %v\n%s", err, out)
	}
	s.stop(t) // so that the log is complete
	if log := s.log.String(); !strings.Contains(log, "Use http:// URLs") {
		t.Errorf("the log does not name the next step: %s", log)
	}
}

// TestHTTPProxy_GoClient uses net/http with http_proxy, for URLs of the bucket and for
// others, which must not reach COS.
func TestHTTPProxy_GoClient(t *testing.T) {
	t.Parallel()
	emu, s := startUnrestricted(t)
	c := &http.Client{Transport: proxyTransport(t, s), Timeout: time.Minute}
	send := func(method, target, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, host := range []string{cosHost, bucket + ".cos." + region + ".tencentcos.cn", bucket + ".cos.accelerate.myqcloud.com"} {
		if status := send(http.MethodPut, "http://"+host+"/a%2Fb", "by "+host); status != http.StatusOK {
			t.Errorf("%s: %d", host, status)
		}
		if got := readDirect(t, emu, "a/b"); string(got) != "by "+host {
			t.Errorf("%s: COS holds %q", host, got)
		}
	}
	before := emu.Stats().COSRequests
	for _, target := range []string{
		"http://other-1250000000.cos." + region + ".myqcloud.com/a", "http://example.com/", "http://metadata.tencentyun.com/latest/meta-data/",
	} {
		if status := send(http.MethodGet, target, ""); status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", target, status)
		}
	}
	if n := emu.Stats().COSRequests; n != before {
		t.Errorf("%d requests to other hosts reached COS", n-before)
	}
}

// TestListBuckets_Actions checks that a route can list the buckets only with
// name/cos:GetService.
func TestListBuckets_Actions(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, Buckets: []string{bucket, "second-1250000000"}})
	for actions, status := range map[string]int{
		"read,name/cos:GetService": http.StatusOK,
		"read":                     http.StatusForbidden,
		"*":                        http.StatusForbidden, // on some keys only
	} {
		s := startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ALLOW_ACTIONS="+actions, "COSPROXY_ALLOW_PREFIXES=dir/*")...)
		c := &http.Client{Transport: proxyTransport(t, s)}
		for _, host := range []string{"service.cos.myqcloud.com", "cos." + region + ".myqcloud.com"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != status {
				t.Errorf("%s of %s: %d %s, %v", actions, host, resp.StatusCode, body, err)
			}
			if listed := strings.Contains(string(body), "<Name>second-1250000000</Name>"); listed != (status == http.StatusOK) {
				t.Errorf("%s of %s: %s", actions, host, body)
			}
		}
	}
}
