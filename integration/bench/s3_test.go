//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestSmallS3Request(t *testing.T) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(smallS3Request("127.0.0.1:4360"))))
	if err != nil {
		t.Fatal(err)
	}
	if req.Method != http.MethodGet || req.Host != "127.0.0.1:4360" || req.URL.Path != "/examplebucket-1250000000/bench/s3/1024" {
		t.Errorf("%s %s of %s", req.Method, req.URL, req.Host)
	}
	if got := req.Header.Get("X-Amz-Content-Sha256"); got != emptySHA256 {
		t.Errorf("x-amz-content-sha256 %q", got)
	}
}

// TestLargeS3Request sends uploads and decodes them with the HTTP chunked coding, which
// aws-chunked without signatures equals up to the trailer.
func TestLargeS3Request(t *testing.T) {
	pattern := newPattern()
	text := chunkPattern(pattern)
	chunked, err := newSource(text)
	if err != nil {
		t.Fatal(err)
	}
	defer chunked.Close()
	chunked.size = int64(len(text)) // a short one, so that sending begins again at its start
	b := &testbed{pattern: pattern, chunked: chunked}
	received := make(chan []byte, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		coded, err := io.ReadAll(r.Body)
		if err != nil || int64(len(coded)) != r.ContentLength {
			t.Errorf("%s: %d of %d bytes, %v", r.URL.Path, len(coded), r.ContentLength, err)
		}
		if want := path.Base(r.URL.Path); r.Header.Get("X-Amz-Decoded-Content-Length") != want {
			t.Errorf("decoded length %q, want %s", r.Header.Get("X-Amz-Decoded-Content-Length"), want)
		}
		received <- coded
	}))
	defer server.Close()
	for _, size := range []int64{1, chunkSize, chunkSize + 1, patternSize + 3*chunkSize, 2*patternSize - 1, 5*patternSize + 5} {
		addr := server.Listener.Addr().String()
		if err := largeS3Request(b, addr, size).run(t.Context(), addr); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		rest := bufio.NewReader(bytes.NewReader(<-received))
		body, err := io.ReadAll(httputil.NewChunkedReader(rest))
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if want := bytes.Repeat(pattern, int(size/patternSize)+1)[:size]; !bytes.Equal(body, want) {
			t.Errorf("%d bytes: the decoded body of %d bytes is not the pattern", size, len(body))
		}
		sum := crc32.NewIEEE()
		sum.Write(body)
		trailer, err := io.ReadAll(rest)
		if want := "x-amz-checksum-crc32:" + base64.StdEncoding.EncodeToString(sum.Sum(nil)) + "\r\n\r\n"; string(trailer) != want || err != nil {
			t.Errorf("%d bytes: trailer %q, %v, want %q", size, trailer, err, want)
		}
	}
}

// TestMeasureCell_Requests measures a server that records the requests.
func TestMeasureCell_Requests(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			t.Errorf("a body of %d of %d bytes: %v", len(body), r.ContentLength, err)
		}
		got.Store(r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Encoding"))
		if r.Method == http.MethodGet {
			_, _ = w.Write(make([]byte, smallSize))
		}
	}))
	defer server.Close()
	b, err := newTestbed(t.Context(), &settings{size: smallSize})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	s := &settings{duration: 5 * time.Millisecond, size: smallSize}
	p := &process{addr: server.Listener.Addr().String(), cmd: b.cmd}
	for c, want := range map[cell]string{
		{"small", plain, "GET", 1, false}: "GET /bench/1024 ",
		{"small", plain, "GET", 1, true}:  "GET /examplebucket-1250000000/bench/s3/1024 ",
		{"large", plain, "PUT", 1, false}: "PUT /bench/1024 ",
		{"large", plain, "PUT", 1, true}:  "PUT /examplebucket-1250000000/bench/s3/1024 aws-chunked",
	} {
		v, err := measureCell(t.Context(), b, s, p, c)
		if got.Load() != want || err != nil {
			t.Errorf("%v: %q, %v, want %q", c, got.Load(), err, want)
		}
		if v.requests < 1 || v.bytes != v.requests*smallSize {
			t.Errorf("%v: %d bytes of %d requests", c, v.bytes, v.requests)
		}
	}
}

func TestCells(t *testing.T) {
	for _, tt := range []struct {
		only                    string
		small, s3, large, s3PUT int // number of GET, S3 GET, PUT and S3 PUT
	}{
		{"", 2, 2, 2, 2}, {"small", 2, 0, 0, 0}, {"large", 0, 0, 2, 0}, {"s3", 2, 2, 2, 2}, {"rss", 0, 0, 1, 0}, {"start", 0, 0, 0, 0},
	} {
		s := &settings{only: tt.only, connections: []int{1, 16}}
		small, large := smallCells(s, plain), largeCells(s, plain)
		got := []int{count(small, "GET"), count(small, "S3 GET"), count(large, "PUT"), count(large, "S3 PUT in aws-chunked")}
		if want := []int{tt.small, tt.s3, tt.large, tt.s3PUT}; !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", tt.only, got, want)
		}
		all := slices.Concat(small, large)
		for i, c := range all {
			if c.s3 {
				same := c
				same.s3 = false
				if j := slices.Index(all, same); max(i-j, j-i) != 1 {
					t.Errorf("%q: %v is not next to the same of COS", tt.only, c)
				}
			}
		}
	}
}

func count(cells []cell, request string) (n int) {
	for _, c := range cells {
		if c.request() == request {
			n++
		}
	}
	return n
}

// TestPeers_S3 checks that peers that do not accept S3 are not measured with it.
func TestPeers_S3(t *testing.T) {
	s, err := parseSettings([]string{"-only", "s3"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.peers, []string{nameCosproxy, nameBaseline}) {
		t.Errorf("peers %q", s.peers)
	}
	for _, name := range []string{nameLua, nameNginx, nameReverseProxy} {
		todo := cellsOf(peer{name: name}, smallCells(&settings{connections: []int{1}}, plain))
		if len(todo) != len(methods) || count(todo, "S3 GET") > 0 {
			t.Errorf("%s: %v", name, todo)
		}
	}
}
