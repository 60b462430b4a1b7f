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

// badClient is a client that occupies a connection.
type badClient struct {
	name       string
	count      int
	greeting   string // sent at once
	drip       string // sent once a second after that
	neverReads bool   // it reads only after mayRead is closed
}

var badClientKinds = []badClient{
	{name: "silent", count: 400},
	{name: "dripping a header", count: 400, greeting: "GET /key HTTP/1.1\r\nHost: localhost\r\nX: ", drip: "x"},
	{name: "idle after a request", count: 400, greeting: "HEAD /large HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{name: "dripping a small body", count: 150, greeting: "PUT /drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n", drip: "x"},
	{name: "dripping a large body", count: 150, greeting: "PUT /drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000000000\r\n\r\n", drip: "x"},
	{name: "dripping chunks", count: 150, greeting: "PUT /drip HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", drip: "1\r\nx\r\n"},
	{name: "not reading a response", count: 200, greeting: "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", neverReads: true},
	{name: "waiting for COS, which does not respond", count: 150, greeting: "GET /stalled HTTP/1.1\r\nHost: localhost\r\n\r\n"},
}

// TestBadClients_GoodClientsServed opens 2000 connections of bad clients. The sidecar
// must serve good clients meanwhile, in bounded memory, and then disconnect the bad
// ones.
func TestBadClients_GoodClientsServed(t *testing.T) {
	t.Parallel()
	const (
		timeout = 30 * time.Second
		size    = 16 << 20
		// Memory per connection: two connections of net/http, with their buffers and
		// goroutines, and the buffer of a body.
		perClient = 80 << 10
		limit     = 40<<20 + 2000*perClient
	)
	emu := startEmulator(t, cosemu.Options{})
	emu.SetCOSFault(cosemu.COSFault{Delay: time.Hour, Match: func(r *http.Request) bool { return r.URL.Path == "/stalled" }})
	s := startSidecar(t, filepath.Join(bin, "cosproxy"), append(sidecarEnv(emu),
		fmt.Sprint("COSPROXY_HEADER_TIMEOUT=", timeout), fmt.Sprint("COSPROXY_IDLE_TIMEOUT=", timeout), fmt.Sprint("COSPROXY_STALL_TIMEOUT=", timeout))...)
	if status, response := do(t, http.MethodPut, s.url+"/large", io.LimitReader(&pattern{}, size)); status != http.StatusOK {
		t.Fatalf("%d %s", status, response)
	}

	bad := &badClients{address: strings.TrimPrefix(s.url, "http://"), mayRead: make(chan struct{})}
	start := time.Now()
	for _, kind := range badClientKinds {
		for range kind.count {
			bad.add(t, kind)
		}
	}
	t.Cleanup(bad.close)
	t.Logf("%d bad clients connected after %v", len(bad.conns), time.Since(start).Round(time.Millisecond))

	runGoodClients(t, s, 8)
	if gone := bad.disconnected.Load(); gone > 0 {
		t.Fatalf("%d bad clients are already disconnected; this machine is too slow for a timeout of %v", gone, timeout)
	}
	t.Logf("good clients were served after %v", time.Since(start).Round(time.Second))

	waitIdle(t, s, start.Add(3*timeout))
	t.Logf("no requests in flight after %v", time.Since(start).Round(time.Second))
	close(bad.mayRead)
	bad.wait(t, start.Add(4*timeout))
	t.Logf("all bad clients disconnected after %v", time.Since(start).Round(time.Second))
	runGoodClients(t, s, 1)
	checkPeakRSS(t, s, limit)
}

// badClients is a group of bad clients.
type badClients struct {
	address      string
	mayRead      chan struct{} // closed when clients that do not read may start to
	disconnected atomic.Int64  // clients that the sidecar has disconnected
	running      sync.WaitGroup
	conns        []net.Conn
}

func (c *badClients) add(t *testing.T, kind badClient) {
	t.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.conns = append(c.conns, conn)
	if _, err := io.WriteString(conn, kind.greeting); err != nil {
		t.Fatalf("%s: %v", kind.name, err)
	}
	c.running.Go(func() {
		defer c.disconnected.Add(1)
		if kind.neverReads {
			<-c.mayRead
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

// wait waits until the sidecar has disconnected all.
func (c *badClients) wait(t *testing.T, deadline time.Time) {
	t.Helper()
	for c.disconnected.Load() < int64(len(c.conns)) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bad clients are still connected", int64(len(c.conns))-c.disconnected.Load(), len(c.conns))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *badClients) close() {
	select {
	case <-c.mayRead:
	default:
		close(c.mayRead)
	}
	for _, conn := range c.conns {
		conn.Close()
	}
	c.running.Wait()
}

// runGoodClients runs 50 clients that store and read their own objects, rounds times
// each. All requests must succeed.
func runGoodClients(t *testing.T, s *sidecar, rounds int) {
	t.Helper()
	var all sync.WaitGroup
	var slowest atomic.Int64
	for i := range 50 {
		all.Go(func() {
			url := fmt.Sprint(s.url, "/good/", i)
			body := make([]byte, 8<<10*(1+i%16))
			for range rounds {
				_, _ = rand.Read(body)
				start := time.Now()
				if status, response := do(t, http.MethodPut, url, bytes.NewReader(body)); status != http.StatusOK {
					t.Errorf("PUT of a good client: %d %s", status, response)
				}
				if status, got := do(t, http.MethodGet, url, nil); status != http.StatusOK || !bytes.Equal(got, body) {
					t.Errorf("GET of a good client: %d, %d bytes of %d", status, len(got), len(body))
				}
				if took := int64(time.Since(start)); took > slowest.Load() {
					slowest.Store(took)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d good requests; storing and reading took at most %v", 100*rounds, time.Duration(slowest.Load()).Round(time.Millisecond))
}

// waitIdle waits until the sidecar has no requests in flight.
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
