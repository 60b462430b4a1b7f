package integration_test

import (
	"bytes"
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The benchmarks run each proxy as a separate process, to measure its CPU time and
// allocations alone, in front of a cheap upstream. The peer is
// httputil.ReverseProxy with its defaults, which neither signs nor logs; cosproxy
// does both, as users run it.

const smallBody = 1 << 10

// BenchmarkSmallGET and BenchmarkSmallPUT send small requests on 64 connections.
// Compare cpu-µs/req; cpu-share is the ratio of cosproxy to ReverseProxy.
func BenchmarkSmallGET(b *testing.B) { benchmarkPeers(b, http.MethodGet, 64, smallBody) }
func BenchmarkSmallPUT(b *testing.B) { benchmarkPeers(b, http.MethodPut, 64, smallBody) }

// BenchmarkLargeGET and BenchmarkLargePUT transfer 256 MiB bodies, one at a time.
// Compare MB/s and cpu-s/GiB; speed-up is the ratio of cosproxy's MB/s to that of
// ReverseProxy, which checks no CRC-64. cosproxy-unchecked checks none either.
func BenchmarkLargeGET(b *testing.B) { benchmarkPeers(b, http.MethodGet, 1, 256<<20) }
func BenchmarkLargePUT(b *testing.B) { benchmarkPeers(b, http.MethodPut, 1, 256<<20) }

func benchmarkPeers(b *testing.B, method string, conns int, size int64) {
	upstream := newSink(b, size)
	var stock, ours requestCost
	b.Run("reverseproxy", func(b *testing.B) { stock = measure(b, startReverseProxy(b, upstream), method, conns, size) })
	b.Run("cosproxy", func(b *testing.B) {
		ours = measure(b, startBenchSidecar(b, upstream), method, conns, size)
		if size > smallBody {
			b.ReportMetric(stock.elapsed/ours.elapsed, "speed-up")
		}
		b.ReportMetric(ours.cpu/stock.cpu, "cpu-share")
	})
	if size > smallBody {
		b.Run("cosproxy-unchecked", func(b *testing.B) {
			bare := measure(b, startBenchSidecar(b, upstream, "COSPROXY_CHECKSUMS=false"), method, conns, size)
			b.ReportMetric(stock.elapsed/bare.elapsed, "speed-up")
			b.ReportMetric(bare.cpu/stock.cpu, "cpu-share")
		})
	}
}

// requestCost is the cost of one request in seconds.
type requestCost struct{ cpu, elapsed float64 }

// benchPeer is a proxy to measure.
type benchPeer struct {
	url     string
	pid     int
	mallocs func() float64 // objects allocated so far
}

func measure(b *testing.B, p benchPeer, method string, conns int, size int64) requestCost {
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: conns, DisableCompression: true, WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10,
	}}
	defer client.CloseIdleConnections()
	body := make([]byte, size)
	one := func() error { return exchange(client, method, p.url+"/bench/key", body) }
	for range 2 * conns { // warm up connections and pools
		if err := one(); err != nil {
			b.Fatal(err)
		}
	}

	var left atomic.Int64
	left.Store(int64(b.N))
	mallocs, cpu := p.mallocs(), cpuSeconds(b, p.pid)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := one(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()

	n := float64(b.N)
	c := requestCost{cpu: (cpuSeconds(b, p.pid) - cpu) / n, elapsed: b.Elapsed().Seconds() / n}
	if size > smallBody {
		b.SetBytes(size)
		b.ReportMetric(c.cpu*float64(1<<30)/float64(size), "cpu-s/GiB")
	} else {
		b.ReportMetric(c.cpu*1e6, "cpu-µs/req")
		b.ReportMetric((p.mallocs()-mallocs)/n, "proxy-allocs/req")
	}
	return c
}

func exchange(client *http.Client, method, url string, body []byte) error {
	if method == http.MethodGet {
		body = nil
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, min(256<<10, max(int64(smallBody), resp.ContentLength))))
	return err
}

// newSink starts an upstream that discards uploads, which are all zeros, and serves
// zeros.
func newSink(b *testing.B, size int64) string {
	zeros := make([]byte, min(size, 1<<20))
	buffers := sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}
	var sum uint64
	for left := size; left > 0; left -= int64(len(zeros)) {
		sum = crc64.Update(sum, crc64.MakeTable(crc64.ECMA), zeros)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-cos-request-id", "bench")
		w.Header().Set("x-cos-hash-crc64ecma", strconv.FormatUint(sum, 10))
		if r.Method == http.MethodPut {
			buf := buffers.Get().(*[]byte)
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, *buf)
			buffers.Put(buf)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header().Set("Content-Type", "application/octet-stream")
		for left := size; left > 0; left -= int64(len(zeros)) {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}))
	b.Cleanup(s.Close)
	return s.URL
}

func startBenchSidecar(b *testing.B, upstream string, env ...string) benchPeer {
	s := startSidecar(b, filepath.Join(bin, "cosproxy"), append(env,
		"COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0", "COSPROXY_LOG_FORMAT=json",
		"COSPROXY_BUCKET="+bucket, "COSPROXY_REGION="+region, "COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO="+strings.TrimPrefix(upstream, "http://"),
		"COSPROXY_SOURCE=static", "TENCENTCLOUD_SECRET_ID=bench-id", "TENCENTCLOUD_SECRET_KEY=bench-key", "TENCENTCLOUD_TOKEN="+strings.Repeat("t", 600))...)
	sample := regexp.MustCompile(`(?m)^go_memstats_mallocs_total (\S+)$`)
	return benchPeer{url: s.url, pid: s.cmd.Process.Pid, mallocs: func() float64 {
		_, page := do(b, http.MethodGet, s.admin+"/metrics", nil)
		found := sample.FindSubmatch(page)
		if found == nil {
			b.Fatal("no go_memstats_mallocs_total on the metrics page")
		}
		n, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}}
}

// reverseProxyTo is the variable that makes this test binary run the peer instead of
// tests.
const reverseProxyTo = "COSPROXY_BENCH_REVERSE_PROXY_TO"

func startReverseProxy(b *testing.B, upstream string) benchPeer {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), reverseProxyTo+"="+upstream)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var addr string
	if _, err := fmt.Fscanln(stdout, &addr); err != nil {
		b.Fatal(err)
	}
	return benchPeer{url: "http://" + addr, pid: cmd.Process.Pid, mallocs: func() float64 {
		_, page := do(b, http.MethodGet, "http://"+addr+"/mallocs", nil)
		n, err := strconv.ParseFloat(string(page), 64)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}}
}

func serveReverseProxy(upstream string) error {
	target, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	rp := httputil.NewSingleHostReverseProxy(target)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mallocs" {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprint(w, m.Mallocs)
			return
		}
		rp.ServeHTTP(w, r)
	}))
}
