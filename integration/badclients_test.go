package integration_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// badClient is one way to hold on to a sidecar.
type badClient struct {
	name  string
	count int
	first string // what is sent at once
	drip  string // what is sent again and again after that
	deaf  bool   // it does not read
}

var badClients = []badClient{
	{name: "silent", count: 400},
	{name: "dripping a header", count: 400, first: "GET /key HTTP/1.1\r\nHost: localhost\r\nX: ", drip: "x"},
	{name: "idle after a request", count: 400, first: "HEAD /large HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{name: "dripping a small body", count: 150, first: "PUT /drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n", drip: "x"},
	{name: "dripping a large body", count: 150, first: "PUT /drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000000000\r\n\r\n", drip: "x"},
	{name: "dripping chunks", count: 150, first: "PUT /drip HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", drip: "1\r\nx\r\n"},
	{name: "not reading an answer", count: 200, first: "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", deaf: true},
	{name: "asking what COS does not answer", count: 150, first: "GET /stalled HTTP/1.1\r\nHost: localhost\r\n\r\n"},
}

// TestBadClientsHarmNobody has 2000 connections hold on to the sidecar while good
// clients work: these are all served, in bounded memory. Then the sidecar gets
// rid of the bad ones.
func TestBadClientsHarmNobody(t *testing.T) {
	t.Parallel()
	const (
		timeout = 30 * time.Second
		size    = 16 << 20
		// What one connection may cost: two of net/http's, with their buffers and
		// goroutines, and the buffer of a body.
		perClient = 80 << 10
		most      = 40<<20 + 2000*perClient
	)
	emu := startEmulator(t, cosemu.Options{})
	emu.SetCOSFault(cosemu.COSFault{Delay: time.Hour, Match: func(r *http.Request) bool { return r.URL.Path == "/stalled" }})
	s := startSidecar(t, filepath.Join(bin, "cosproxy"), append(sidecarEnv(emu),
		fmt.Sprint("COSPROXY_HEADER_TIMEOUT=", timeout), fmt.Sprint("COSPROXY_IDLE_TIMEOUT=", timeout), fmt.Sprint("COSPROXY_STALL_TIMEOUT=", timeout))...)
	if status, answer := do(t, http.MethodPut, s.url+"/large", io.LimitReader(&pattern{}, size)); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}

	crowd := &crowd{address: strings.TrimPrefix(s.url, "http://"), freed: make(chan struct{})}
	begun := time.Now()
	for _, kind := range badClients {
		for range kind.count {
			crowd.add(t, kind)
		}
	}
	t.Cleanup(crowd.leave)
	t.Logf("%d bad clients are there after %v", len(crowd.conns), time.Since(begun).Round(time.Millisecond))

	goodClients(t, s, 8)
	if gone := crowd.ended.Load(); gone > 0 {
		t.Fatalf("%d bad clients were gone already; this machine is too slow for a timeout of %v", gone, timeout)
	}
	t.Logf("good clients were served after %v", time.Since(begun).Round(time.Second))

	waitIdle(t, s, begun.Add(3*timeout))
	t.Logf("no request is left after %v", time.Since(begun).Round(time.Second))
	close(crowd.freed)
	crowd.wait(t, begun.Add(4*timeout))
	t.Logf("all are gone after %v", time.Since(begun).Round(time.Second))
	goodClients(t, s, 1)
	checkPeakRSS(t, s, most)
}

// crowd is many bad clients.
type crowd struct {
	address string
	freed   chan struct{} // closed when deaf ones may look at what they have missed
	ended   atomic.Int64  // that the sidecar got rid of
	running sync.WaitGroup
	conns   []net.Conn
}

func (c *crowd) add(t *testing.T, kind badClient) {
	t.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.conns = append(c.conns, conn)
	if _, err := io.WriteString(conn, kind.first); err != nil {
		t.Fatalf("%s: %v", kind.name, err)
	}
	c.running.Go(func() {
		defer c.ended.Add(1)
		if kind.deaf {
			<-c.freed
		}
		if kind.drip != "" {
			for {
				time.Sleep(time.Second)
				if _, err := io.WriteString(conn, kind.drip); err != nil {
					return
				}
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	})
}

// wait waits until the sidecar has got rid of all.
func (c *crowd) wait(t *testing.T, deadline time.Time) {
	t.Helper()
	for c.ended.Load() < int64(len(c.conns)) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bad clients are still there", int64(len(c.conns))-c.ended.Load(), len(c.conns))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *crowd) leave() {
	select {
	case <-c.freed:
	default:
		close(c.freed)
	}
	for _, conn := range c.conns {
		conn.Close()
	}
	c.running.Wait()
}

// goodClients has 50 clients store and read objects of their own, a few times
// each. None may fail.
func goodClients(t *testing.T, s *sidecar, rounds int) {
	t.Helper()
	var all sync.WaitGroup
	var longest atomic.Int64
	for i := range 50 {
		all.Go(func() {
			url := fmt.Sprint(s.url, "/good/", i)
			body := make([]byte, 8<<10*(1+i%16))
			for range rounds {
				_, _ = rand.Read(body)
				begun := time.Now()
				if status, answer := do(t, http.MethodPut, url, bytes.NewReader(body)); status != http.StatusOK {
					t.Errorf("PUT of a good client: %d %s", status, answer)
				}
				if status, got := do(t, http.MethodGet, url, nil); status != http.StatusOK || !bytes.Equal(got, body) {
					t.Errorf("GET of a good client: %d, %d bytes of %d", status, len(got), len(body))
				}
				if took := int64(time.Since(begun)); took > longest.Load() {
					longest.Store(took)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d good requests; storing and reading took at most %v", 100*rounds, time.Duration(longest.Load()).Round(time.Millisecond))
}

// waitIdle waits until the sidecar serves no request.
func waitIdle(t *testing.T, s *sidecar, deadline time.Time) {
	t.Helper()
	for {
		_, page := do(t, http.MethodGet, s.admin+"/metrics", nil)
		if strings.Contains(string(page), "cosproxy_requests_in_flight 0\n") && strings.Contains(string(page), "cosproxy_requests_queued 0\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sidecar still serves requests:\n%s", page)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
