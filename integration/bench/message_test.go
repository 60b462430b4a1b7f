//go:build linux

package main

import (
	"hash/crc64"
	"testing"
)

func TestParseResponse(t *testing.T) {
	for _, tt := range []struct {
		text string
		head int
		body int64
		ok   bool
	}{
		{"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  12 \r\n\r\nbody", 52, 12, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38, 0, true},
		{"HTTP/1.1 200 OK\r\nContent-Le", 0, 0, true},
		{"", 0, 0, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, false},
		{"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", 0, 0, false},
		{"\r\n\r\n", 0, 0, false},
	} {
		head, body, err := parseResponse([]byte(tt.text))
		if err == nil && head != tt.head || body != tt.body || (err == nil) != tt.ok {
			t.Errorf("%q: %d, %d, %v", tt.text, head, body, err)
		}
	}
}

func TestParseRequest(t *testing.T) {
	const head = "PUT /bench/7 HTTP/1.1\r\nHost: b\r\nX-Content-Length: 1\r\ncontent-length: 7\r\nExpect: 100-continue\r\nAuthorization: q-sign-algorithm=sha1&q-ak=x\r\n\r\n"
	if got, want := parseRequest([]byte(head)), (request{"PUT", "/bench/7", 7, true, true, false}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for key, signed := range map[string]bool{secretID: true, "dummy": false} {
		got := parseRequest([]byte("GET /bench/s3/7 HTTP/1.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + key + "/20261123/r/s3/aws4_request, Signature=00\r\n\r\n"))
		if want := (request{method: "GET", path: "/bench/s3/7", s3: signed}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if got, want := parseRequest([]byte("GET / HTTP/1.1\r\n\r\n")), (request{method: "GET", path: "/"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestPatternCRC(t *testing.T) {
	p := newPattern()
	repeated := append(append([]byte{}, p...), p[:100]...)
	if got, want := patternCRC(p, int64(len(repeated))), crc64.Checksum(repeated, crcTable); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}
