package proxy_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"cosproxy/proxy"
)

const (
	chunkSignature   = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
	unsignedChunks   = "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
	signedChunks     = "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n"
	signedTrailers   = "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\r\n"
	chunkedCoding    = "Content-Encoding: aws-chunked\r\n"
	announcesCRC32   = "x-amz-trailer: x-amz-checksum-crc32\r\n"
	trailerSignature = "x-amz-trailer-signature:" + chunkSignature + "\r\n"
)

func itoa(n int) string { return strconv.Itoa(n) }

func decodedLength(n int) string { return "x-amz-decoded-content-length: " + itoa(n) + "\r\n" }

// awsChunked is text in two chunks and the last one, without trailers. signature is the
// value of chunk-signature; without one the chunks are not signed.
func awsChunked(signature, text string) string {
	if signature != "" {
		signature = ";chunk-signature=" + signature
	}
	var b strings.Builder
	half := (len(text) + 1) / 2
	for _, part := range []string{text[:half], text[half:]} {
		if part != "" {
			fmt.Fprintf(&b, "%x%s\r\n%s\r\n", len(part), signature, part)
		}
	}
	return b.String() + "0" + signature + "\r\n"
}

func crc32Of(text string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

func sha256Of(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func sha1Of(text string) string {
	sum := sha1.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func crc32Trailer(text string) string { return "x-amz-checksum-crc32:" + crc32Of(text) + "\r\n" }

// bodySizes are an empty body, buffered ones, and streamed ones.
var bodySizes = []int{0, 1, 64 << 10, 64<<10 + 1, 1 << 20}

// Every form of a body reaches COS as the object itself.
func TestS3Body_Forms(t *testing.T) {
	for _, size := range bodySizes {
		text := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		for _, tt := range []struct{ name, header, body string }{
			{"plain", "", text},
			{"unsigned payload", "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n", text},
			{"hash", "x-amz-content-sha256: " + sha256Of(text) + "\r\n", text},
			{"upper-case hash", "x-amz-content-sha256: " + strings.ToUpper(sha256Of(text)) + "\r\n", text},
			{"checksum", "x-amz-checksum-crc32: " + crc32Of(text) + "\r\nX-Amz-Checksum-SHA1: " + sha1Of(text) + "\r\nx-amz-sdk-checksum-algorithm: CRC32\r\n", text},
			{"unsigned chunks", unsignedChunks + chunkedCoding + decodedLength(size) + announcesCRC32, awsChunked("", text) + crc32Trailer(text) + "\r\n"},
			{"unsigned chunks without a trailer", unsignedChunks + decodedLength(size), awsChunked("", text) + "\r\n"},
			{"signed chunks", signedChunks + chunkedCoding + decodedLength(size), awsChunked(chunkSignature, text) + "\r\n"},
			{"signed chunks, not in Content-Encoding", signedChunks + decodedLength(size), awsChunked(chunkSignature, text) + "\r\n"},
			{"signed chunks and trailers", signedTrailers + chunkedCoding + decodedLength(size) + announcesCRC32, awsChunked(chunkSignature, text) + crc32Trailer(text) + trailerSignature + "\r\n"},
			{"only in Content-Encoding", chunkedCoding + decodedLength(size), awsChunked("", text) + "\r\n"},
			{"in the second Content-Encoding", "Content-Encoding: gzip\r\n" + chunkedCoding + decodedLength(size), awsChunked("", text) + "\r\n"},
			{"with another coding", "Content-Encoding: aws-chunked,gzip\r\n" + unsignedChunks + decodedLength(size), awsChunked("", text) + "\r\n"},
			{"trailer and header checksum", unsignedChunks + decodedLength(size) + announcesCRC32 + "x-amz-checksum-sha1: " + sha1Of(text) + "\r\n", awsChunked("", text) + crc32Trailer(text) + "\r\n"},
			{"HTTP chunks", "", text},
			{"HTTP chunks around signed chunks", signedChunks + decodedLength(size), awsChunked(chunkSignature, text) + "\r\n"},
			{"HTTP chunks around trailers", unsignedChunks + decodedLength(size) + announcesCRC32, awsChunked("", text) + crc32Trailer(text) + "\r\n"},
		} {
			t.Run(fmt.Sprintf("%s %d", tt.name, size), func(t *testing.T) {
				r := start(t, setup{})
				header, body := tt.header+"x-amz-meta-a: 1\r\n", tt.body
				if strings.HasPrefix(tt.name, "HTTP chunks") {
					header, body = header+"Transfer-Encoding: chunked\r\n", chunk(body)
				}
				rep := r.s3(t, "PUT", "/"+bucket+"/key", header, body)
				if rep.status != http.StatusOK {
					t.Fatalf("status %d: %s", rep.status, rep.body)
				}
				a := r.upstream.only(t)
				coding := ""
				if strings.Contains(tt.header, "gzip") {
					coding = "gzip"
				}
				if string(a.body) != text || strings.Join(a.Header["Content-Encoding"], ",") != coding || a.Header.Get("X-Amz-Meta-A") != "1" {
					t.Errorf("%d bytes arrived with\n%s", len(a.body), a.head)
				}
				if a.Header["X-Amz-Trailer"] != nil || a.Header["X-Amz-Decoded-Content-Length"] != nil || strings.Contains(strings.ToLower(a.head), "checksum") {
					t.Errorf("arrived as\n%s", a.head)
				}
				want := "UNSIGNED-PAYLOAD"
				switch {
				case size == 0:
					want = emptyHash
				case tt.name == "hash":
					want = sha256Of(text)
				}
				if got := a.Header.Get("X-Amz-Content-Sha256"); got != want {
					t.Errorf("x-amz-content-sha256 %s, want %s", got, want)
				}
			})
		}
	}
}

// A checksum of a body in HTTP chunks is verified if the body can be buffered.
func TestS3Body_HTTPChunksWithChecksum(t *testing.T) {
	for _, size := range bodySizes {
		text := strings.Repeat("x", size)
		for name, header := range map[string]string{
			"hash": "x-amz-content-sha256: " + sha256Of(text), "checksum": "x-amz-checksum-crc32: " + crc32Of(text),
			"other hash": "x-amz-content-sha256: " + sha256Of(text+"y"), "other checksum": "x-amz-checksum-crc32: " + crc32Of(text+"y"),
		} {
			t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) {
				r := start(t, setup{})
				rep := r.s3(t, "PUT", "/"+bucket+"/key", header+"\r\nTransfer-Encoding: chunked\r\n", chunk(text))
				switch {
				case size > 64<<10:
					r.refusedS3(t, rep, http.StatusLengthRequired, "MissingContentLength")
				case name == "other hash":
					r.refusedS3(t, rep, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
				case name == "other checksum":
					r.refusedS3(t, rep, http.StatusBadRequest, "BadDigest")
				case rep.status != http.StatusOK:
					t.Errorf("status %d: %s", rep.status, rep.body)
				default:
					a := r.upstream.only(t)
					if hash := a.Header.Get("X-Amz-Content-Sha256"); string(a.body) != text || name == "hash" && hash != sha256Of(text) {
						t.Errorf("%d bytes arrived with\n%s", len(a.body), a.head)
					}
				}
			})
		}
	}
}

// A client that waits for 100 Continue gets it before its body is read.
func TestS3Body_Expect(t *testing.T) {
	for _, size := range bodySizes {
		text := strings.Repeat("x", size)
		body := awsChunked("", text) + crc32Trailer(text) + "\r\n"
		r := start(t, setup{})
		c := r.dial(t)
		c.send("PUT /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\n" + dummySignature + unsignedChunks + decodedLength(size) + announcesCRC32 +
			"Expect: 100-continue\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n")
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 100 ") {
			t.Fatalf("size %d: %s", size, head)
		}
		c.send(body)
		if rep := c.reply("PUT"); rep.status != http.StatusOK || string(r.upstream.only(t).body) != text {
			t.Errorf("size %d: status %d: %s", size, rep.status, rep.body)
		}
		c.Close()
	}
	// A body in HTTP chunks with a checksum is read first, to verify it.
	chunks := start(t, setup{})
	c := chunks.dial(t)
	c.send("PUT /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\n" + dummySignature + "x-amz-checksum-crc32: " + crc32Of("test") +
		"\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 100 ") {
		t.Fatal(head)
	}
	c.send(chunk("test"))
	if rep := c.reply("PUT"); rep.status != http.StatusOK || string(chunks.upstream.only(t).body) != "test" {
		t.Errorf("status %d: %s", rep.status, rep.body)
	}
	// A request that is refused by its header gets no 100 Continue.
	r := start(t, setup{})
	rep := r.exchange(t, "PUT /"+bucket+"/key HTTP/1.1\r\n"+dummySignature+chunkedCoding+"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	r.refusedS3(t, rep, http.StatusLengthRequired, "MissingContentLength")
}

// A damaged body is an error in the dialect of S3, and COS never has all of it.
func TestS3Body_Damaged(t *testing.T) {
	type damage struct {
		name, header, body string
		code               string
	}
	for _, size := range []int{0, 10, 200 << 10} {
		text := strings.Repeat("x", size)
		short := decodedLength(size + 1)
		long := decodedLength(max(0, size-1))
		tests := []damage{
			{"hash", "x-amz-content-sha256: " + sha256Of(text+"y") + "\r\n", text, "XAmzContentSHA256Mismatch"},
			{"checksum", "x-amz-checksum-crc32: " + crc32Of(text+"y") + "\r\n", text, "BadDigest"},
			{"second checksum", "x-amz-checksum-crc32: " + crc32Of(text) + "\r\nx-amz-checksum-sha1: " + sha1Of(text+"y") + "\r\n", text, "BadDigest"},
			{"trailer", unsignedChunks + decodedLength(size) + announcesCRC32, awsChunked("", text) + crc32Trailer(text+"y") + "\r\n", "BadDigest"},
			{"signed trailer", signedTrailers + decodedLength(size) + announcesCRC32, awsChunked(chunkSignature, text) + crc32Trailer(text+"y") + trailerSignature + "\r\n", "BadDigest"},
			{"header checksum of chunks", unsignedChunks + decodedLength(size) + "x-amz-checksum-crc32: " + crc32Of(text+"y") + "\r\n", awsChunked("", text) + "\r\n", "BadDigest"},
			{"no trailer", unsignedChunks + decodedLength(size) + announcesCRC32, awsChunked("", text) + "\r\n", "MalformedTrailerError"},
			{"another trailer", unsignedChunks + decodedLength(size) + announcesCRC32, awsChunked("", text) + "x-amz-checksum-sha1:" + sha1Of(text) + "\r\n\r\n", "MalformedTrailerError"},
			{"no trailer signature", signedTrailers + decodedLength(size) + announcesCRC32, awsChunked(chunkSignature, text) + crc32Trailer(text) + "\r\n", "MalformedTrailerError"},
			{"bytes after the trailer", unsignedChunks + decodedLength(size) + announcesCRC32, awsChunked("", text) + crc32Trailer(text) + "\r\nmore", "MalformedTrailerError"},
			{"a chunk after the last", unsignedChunks + decodedLength(size), awsChunked("", text) + "\r\n4\r\nmore\r\n0\r\n\r\n", "MalformedTrailerError"},
			{"short signature", signedChunks + decodedLength(size), awsChunked(chunkSignature[1:], text) + "\r\n", "IncompleteBody"},
			{"long signature", signedChunks + decodedLength(size), awsChunked(chunkSignature+"0", text) + "\r\n", "IncompleteBody"},
			{"no signature", signedChunks + decodedLength(size), awsChunked("", text) + "\r\n", "IncompleteBody"},
			{"a signature too many", unsignedChunks + decodedLength(size), awsChunked(chunkSignature, text) + "\r\n", "IncompleteBody"},
			{"shorter than announced", unsignedChunks + short, awsChunked("", text) + "\r\n", "IncompleteBody"},
			{"longer than announced", unsignedChunks + long, awsChunked("", text+"y") + "\r\n", "IncompleteBody"},
			{"ends before the last chunk", unsignedChunks + decodedLength(size), strings.TrimSuffix(awsChunked("", text), "0\r\n"), "IncompleteBody"},
			{"ends after the last chunk", unsignedChunks + decodedLength(size), awsChunked("", text), "IncompleteBody"},
			{"not chunked", unsignedChunks + decodedLength(size), text + "plain", "IncompleteBody"},
			{"malformed trailer value", unsignedChunks + decodedLength(size) + announcesCRC32, awsChunked("", text) + "x-amz-checksum-crc32:x\r\n\r\n", "InvalidRequest"},
		}
		for _, tt := range tests {
			for _, framing := range []string{"", "Transfer-Encoding: chunked\r\n"} {
				plain := !strings.Contains(tt.header, "decoded")
				if framing != "" && plain {
					continue // a checksum requires the length
				}
				t.Run(fmt.Sprintf("%s %d %s", tt.name, size, framing), func(t *testing.T) {
					broken := make(chan bool, 1)
					r := start(t, setup{handle: func(a *arrival) { broken <- a.incomplete() }})
					body := tt.body
					header := tt.header + framing
					if framing != "" {
						body = chunk(body)
					} else {
						header += "Content-Length: " + itoa(len(body)) + "\r\n"
					}
					rep := r.s3(t, "PUT", "/"+bucket+"/key", header, body)
					doc := rep.cosError(t)
					if rep.status != http.StatusBadRequest || doc.Code != tt.code || rep.header.Get("X-Amz-Request-Id") == "" {
						t.Errorf("status %d, %s: %s", rep.status, rep.header, rep.body)
					}
					if len(r.upstream.seen()) == 0 {
						return
					}
					if size <= 64<<10 {
						t.Error("a buffered body reached COS")
					}
					if !<-broken {
						t.Error("COS received a complete body")
					}
				})
			}
		}
	}
}

// Header fields that leave it unclear how the body is coded are refused.
func TestS3Body_Unclear(t *testing.T) {
	body := awsChunked("", "test") + "\r\n"
	r := start(t, setup{})
	for _, tt := range []struct {
		name, header string
		status       int
		code         string
	}{
		{"hash and aws-chunked", chunkedCoding + decodedLength(4) + "x-amz-content-sha256: " + sha256Of(body) + "\r\n", 400, "InvalidRequest"},
		{"another word and aws-chunked", chunkedCoding + decodedLength(4) + "x-amz-content-sha256: streaming\r\n", 400, "InvalidRequest"},
		{"two values", decodedLength(4) + "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n" + unsignedChunks, 400, "InvalidRequest"},
		{"two values, the first chunked", decodedLength(4) + unsignedChunks + "x-amz-content-sha256: " + sha256Of(body) + "\r\n", 400, "InvalidRequest"},
		{"two lengths", decodedLength(4) + decodedLength(5) + unsignedChunks, 400, "InvalidRequest"},
		{"only a decoded length", decodedLength(4), 400, "InvalidRequest"},
		{"only a trailer", announcesCRC32, 400, "InvalidRequest"},
		{"no decoded length", chunkedCoding, 411, "MissingContentLength"},
		{"a negative length", chunkedCoding + "x-amz-decoded-content-length: -1\r\n", 411, "MissingContentLength"},
		{"no number", chunkedCoding + "x-amz-decoded-content-length: 4x\r\n", 411, "MissingContentLength"},
		{"an unknown form", decodedLength(4) + "x-amz-content-sha256: STREAMING-AWS5\r\n", 400, "InvalidArgument"},
		{"a trailer without -TRAILER", decodedLength(4) + signedChunks + announcesCRC32, 400, "InvalidRequest"},
		{"an unknown trailer", decodedLength(4) + unsignedChunks + "x-amz-trailer: x-amz-meta-a\r\n", 400, "InvalidRequest"},
		{"no hash", "x-amz-content-sha256: test\r\n", 400, "InvalidArgument"},
		{"a short hash", "x-amz-content-sha256: " + emptyHash[1:] + "\r\n", 400, "InvalidArgument"},
		{"a malformed checksum", "x-amz-checksum-crc32: test\r\n", 400, "InvalidRequest"},
		{"a wrong checksum, in HTTP chunks", "x-amz-checksum-crc32: AAAAAA==\r\nTransfer-Encoding: chunked\r\n", 400, "BadDigest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := body
			if strings.Contains(tt.header, "Transfer-Encoding") {
				sent = chunk(body)
			}
			r.refusedS3(t, r.s3(t, "PUT", "/"+bucket+"/key", tt.header, sent), tt.status, tt.code)
		})
	}
	r.refusedS3(t, r.s3(t, "GET", "/"+bucket+"/key", unsignedChunks, ""), http.StatusBadRequest, "InvalidArgument")
	r.refusedS3(t, r.s3(t, "GET", "/"+bucket+"/key", "x-amz-content-sha256: "+sha256Of("x")+"\r\n", ""), http.StatusBadRequest, "XAmzContentSHA256Mismatch")
}

// The limit for bodies is one of the object, not of its chunk headers.
func TestS3Body_Limit(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Limits.BodyBytes = 100 }})
	for size, status := range map[int]int{100: http.StatusOK, 101: http.StatusRequestEntityTooLarge} {
		text := strings.Repeat("x", size)
		for _, header := range []string{"", "Transfer-Encoding: chunked\r\n"} {
			body := awsChunked(chunkSignature, text) + "\r\n"
			if header != "" {
				body = chunk(body)
			}
			if rep := r.s3(t, "PUT", "/"+bucket+"/key", signedChunks+decodedLength(size)+header, body); rep.status != status {
				t.Errorf("%d bytes: status %d: %s", size, rep.status, rep.body)
			}
		}
	}
}

// Objects may have the coding aws-chunked as metadata that another server has stored. Clients
// send it back in requests without a body.
func TestS3Body_ChunkedAsMetadata(t *testing.T) {
	for request, header := range map[string]string{
		"POST /" + bucket + "/key?uploads": "x-amz-content-sha256: " + emptyHash + "\r\nContent-Length: 0\r\n",
		"PUT /" + bucket + "/key":          "x-amz-copy-source: " + bucket + "/a\r\nx-amz-metadata-directive: REPLACE\r\n",
	} {
		r := start(t, setup{})
		method, target, _ := strings.Cut(request, " ")
		if rep := r.s3(t, method, target, "Content-Encoding: gzip, aws-chunked\r\n"+header, ""); rep.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", request, rep.status, rep.body)
			continue
		}
		if a := r.upstream.only(t); a.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("arrived as\n%s", a.head)
		}
	}
}

// A client that leaves in the middle of a chunk stores nothing.
func TestS3Body_Interrupted(t *testing.T) {
	broken := make(chan bool, 1)
	r := start(t, setup{handle: func(a *arrival) { broken <- a.incomplete() }})
	text := strings.Repeat("x", 1<<20)
	body := awsChunked("", text)
	c := r.dial(t)
	c.send("PUT /" + bucket + "/key HTTP/1.1\r\nHost: localhost\r\n" + dummySignature + unsignedChunks + decodedLength(len(text)) +
		"Content-Length: " + itoa(len(body)+2) + "\r\n\r\n" + body) // all of the object, but not the end of the coding
	c.Close()
	if !<-broken {
		t.Error("COS received a complete body")
	}
}
