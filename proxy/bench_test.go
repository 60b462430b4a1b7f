package proxy_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"cosproxy/proxy"
)

const smallGET = "GET /dir/key HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"

// smallS3 is the same as an AWS SDK sends it, in path style.
const smallS3 = "GET /" + bucket + "/dir/key?x-id=GetObject HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept-Encoding: identity\r\n" + dummySignature +
	"X-Amz-Date: 20261129T000000Z\r\nX-Amz-Content-Sha256: " + emptyHash + "\r\nX-Amz-Checksum-Mode: ENABLED\r\nAmz-Sdk-Request: attempt=1; max=3\r\n" +
	"Amz-Sdk-Invocation-Id: 00000000-0000-0000-0000-000000000000\r\n\r\n"

// startSmall starts a proxy with an upstream that returns 1 KiB. Neither the upstream
// nor ask, which sends one request and reads its response, allocates.
func startSmall(tb testing.TB, small string) (ask func()) {
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
	request, end := []byte(small), []byte(body)
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
	for request, most := range map[string]float64{smallGET: 10, smallS3: 13} {
		ask := startSmall(t, request)
		for range 10 {
			ask()
		}
		if got := testing.AllocsPerRun(200, ask); got > most && !raceEnabled {
			t.Errorf("%v allocations for a small download, want %v at most: %.60q", got, most, request)
		}
	}
}

func BenchmarkSmallGET(b *testing.B) {
	for name, request := range map[string]string{"COS": smallGET, "S3": smallS3} {
		b.Run(name, func(b *testing.B) {
			ask := startSmall(b, request)
			ask()
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// BenchmarkUpload compares an upload with the same one in aws-chunked, as current AWS SDKs
// send it.
func BenchmarkUpload(b *testing.B) {
	const size, piece = 64 << 20, 64 << 10
	text := bytes.Repeat([]byte("0123456789abcdef"), piece/16)
	sum := crc32.NewIEEE()
	var coded bytes.Buffer
	for range size / piece {
		fmt.Fprintf(&coded, "%x\r\n%s\r\n", piece, text)
		sum.Write(text)
	}
	coded.WriteString("0\r\nx-amz-checksum-crc32:" + base64.StdEncoding.EncodeToString(sum.Sum(nil)) + "\r\n\r\n")
	for name, upload := range map[string]struct {
		head string
		body []byte
	}{
		"plain":       {"PUT /dir/key HTTP/1.1\r\nHost: localhost\r\n", bytes.Repeat(text, size/piece)},
		"aws-chunked": {"PUT /" + bucket + "/dir/key HTTP/1.1\r\nHost: localhost\r\n" + dummySignature + unsignedChunks + decodedLength(size) + announcesCRC32, coded.Bytes()},
	} {
		b.Run(name, func(b *testing.B) {
			r := start(b, setup{handle: func(a *arrival) {
				_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{a.Body}, make([]byte, 256<<10))
				a.respond(ok)
			}})
			c := r.dial(b)
			head := upload.head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(upload.body))
			b.SetBytes(size)
			for b.Loop() {
				c.send(head)
				if _, err := c.Write(upload.body); err != nil {
					b.Fatal(err)
				}
				if rep := c.reply("PUT"); rep.status != 200 {
					b.Fatal(rep.body)
				}
			}
		})
	}
}
