package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"cosproxy/proxy"
)

const smallGET = "GET /dir/key HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"

// startSmall starts a proxy with an upstream that returns 1 KiB. Neither the upstream
// nor ask, which sends one request and reads its response, allocates.
func startSmall(tb testing.TB) (ask func()) {
	body := strings.Repeat("x", 1<<10)
	response := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nDate: Sun, 29 Nov 2026 00:00:00 GMT\r\n"+
		"ETag: \"e\"\r\nServer: tencent-cos\r\nx-cos-hash-crc64ecma: %d\r\nx-cos-request-id: id\r\n\r\n%s", len(body), crc(body), body))
	ln := listen(tb)
	tb.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go respondAlways(c, response)
		}
	}()
	p, err := proxy.New(proxy.Options{
		Routes: []proxy.Route{{
			Bucket: bucket, Region: region, Endpoint: plainCOS,
			AllowActions: []string{"name/cos:GetObject"}, AllowPrefixes: []string{"dir/*"}, Credentials: newCredentials(1),
		}},
		Upstream: proxy.Upstream{ConnectTo: ln.Addr().String()},
		Logger:   slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	r := &rig{proxy: p}
	r.serveOn(tb, listen(tb), proxy.ServerOptions{})
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	buf := make([]byte, 4<<10)
	request, end := []byte(smallGET), []byte(body)
	return func() {
		if _, err := c.Write(request); err != nil {
			tb.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], end); {
			m, err := c.Read(buf[n:])
			if err != nil {
				tb.Fatal(err)
			}
			n += m
		}
	}
}

func respondAlways(c net.Conn, response []byte) {
	defer c.Close()
	buf := make([]byte, 4<<10)
	for {
		n, err := c.Read(buf) // a small request is one read
		if err != nil || !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			return
		}
		if _, err := c.Write(response); err != nil {
			return
		}
	}
}

// The proxy allocates almost nothing for a small download.
func TestAllocations_SmallGET(t *testing.T) {
	ask := startSmall(t)
	for range 10 {
		ask()
	}
	const most = 10
	if got := testing.AllocsPerRun(200, ask); got > most && !raceEnabled {
		t.Errorf("%v allocations for a small download, want %d at most", got, most)
	}
}

func BenchmarkSmallGET(b *testing.B) {
	ask := startSmall(b)
	ask()
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}
