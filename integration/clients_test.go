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
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// cosHost is what programs that know nothing of a sidecar call the bucket.
const cosHost = bucket + ".cos." + region + ".myqcloud.com"

// startForClients is a sidecar that lets everything pass, on an emulator that
// wants everything signed.
func startForClients(t *testing.T) (*cosemu.Server, *sidecar) {
	t.Helper()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	return emu, startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ALLOW_ACTIONS=*")...)
}

// proxied is a program's transport behind http_proxy.
func proxied(t *testing.T, s *sidecar) *http.Transport {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(u)}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// TestReadmeClients: every client that the README tells how to point has a test.
func TestReadmeClients(t *testing.T) {
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
	for _, file := range append(files, "node/test.mjs") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, row := range rows {
		if name := row[1]; !strings.Contains(tests.String(), "func "+name+"(") && !strings.Contains(tests.String(), "name: '"+name+"'") {
			t.Errorf("no test is called %s", name)
		}
	}
}

// curl runs curl without a proxy of the developer's.
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

// curlEverything is what shell scripts do; options lead curl, and base to the
// bucket.
func curlEverything(t *testing.T, emu *cosemu.Server, base string, options ...string) {
	t.Helper()
	run := func(args ...string) string {
		t.Helper()
		return curl(t, append(options[:len(options):len(options)], args...)...)
	}
	dir := t.TempDir()
	file, down := filepath.Join(dir, "up"), filepath.Join(dir, "down")
	body := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // over curl's limit for Expect: 100-continue
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
	if _, there := emu.Object(bucket, "from/stdin"); there {
		t.Error("the object is still there")
	}
}

// TestCurl is the README's first example.
func TestCurl(t *testing.T) {
	t.Parallel()
	emu, s := startForClients(t)
	curlEverything(t, emu, s.url)
}

// TestCurlByHostName has the name of the bucket lead to the sidecar.
func TestCurlByHostName(t *testing.T) {
	t.Parallel()
	emu, s := startForClients(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.url, "http://"), ":")
	curlEverything(t, emu, "http://"+cosHost+":"+port, "--resolve", cosHost+":"+port+":127.0.0.1")
	curlEverything(t, emu, s.url, "-H", "Host: "+bucket+".cos."+region+".tencentcos.cn")
}

// TestCurlByHTTPProxy: an unchanged URL, and http_proxy in the environment.
func TestCurlByHTTPProxy(t *testing.T) {
	t.Parallel()
	emu, s := startForClients(t)
	curlEverything(t, emu, "http://"+cosHost, "-x", s.url)

	cmd := exec.Command("curl", "-sS", "--fail-with-body", "http://"+cosHost+"/from/curl.bin")
	cmd.Env = append(cleanEnv(), "http_proxy="+s.url)
	if out, err := cmd.Output(); err != nil || len(out) != 3200000 {
		t.Errorf("by http_proxy: %d bytes, %v", len(out), err)
	}

	// https would hide the request; the refusal says what to do.
	out, err := exec.Command("curl", "-sSv", "-x", s.url, "https://"+cosHost+"/from/curl.bin").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "405 Method Not Allowed") {
		t.Errorf("https through the proxy: %v\n%s", err, out)
	}
	s.stop(t) // so that the log is whole
	if log := s.log.String(); !strings.Contains(log, "Send plain http:// requests") {
		t.Errorf("the log does not say what to do: %s", log)
	}
}

// TestHTTPProxy: any program with net/http behind http_proxy, and what it must
// not reach.
func TestHTTPProxy(t *testing.T) {
	t.Parallel()
	emu, s := startForClients(t)
	c := &http.Client{Transport: proxied(t, s), Timeout: time.Minute}
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
		t.Errorf("%d of them reached COS", n-before)
	}
}

// TestListBuckets: the key of a route that has name/cos:GetService written out can
// list the buckets, and touches no more of them for it.
func TestListBuckets(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true, Buckets: []string{bucket, "second-1250000000"}})
	for actions, status := range map[string]int{
		"read,name/cos:GetService": http.StatusOK,
		"read":                     http.StatusForbidden,
		"*":                        http.StatusForbidden, // on some keys only
	} {
		s := startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ALLOW_ACTIONS="+actions, "COSPROXY_ALLOW_PREFIXES=dir/*")...)
		c := &http.Client{Transport: proxied(t, s)}
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
