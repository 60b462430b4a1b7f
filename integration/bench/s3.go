//go:build linux

package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
)

// s3Fields are fields of every request of boto3 1.43, which signs with a dummy key.
const s3Fields = "Accept-Encoding: identity\r\nUser-Agent: Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11.7\r\n" +
	"X-Amz-Date: 20261123T120000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=dummy/20261123/" + region + "/s3/aws4_request, " +
	"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=2c2786955b9393e71525cb5c1d043292b4f31c8f0ac76961bb9004ef089092d5\r\n" +
	"amz-sdk-invocation-id: 63cda0a0-10cd-4dfe-815e-a60afaccc352\r\namz-sdk-request: attempt=1\r\n"

// emptySHA256 is the x-amz-content-sha256 of a request without a body.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// s3Head returns the start of a request for an object of size bytes, in path style.
func s3Head(method, addr string, size int64) string {
	return fmt.Sprintf("%s /%s%s%d HTTP/1.1\r\nHost: %s\r\n%s", method, bucket, s3Path, size, addr, s3Fields)
}

// smallS3Request returns a GET of smallSize bytes in the form of boto3.
func smallS3Request(addr string) []byte {
	return []byte(s3Head("GET", addr, smallSize) + "x-amz-checksum-mode: ENABLED\r\nX-Amz-Content-SHA256: " + emptySHA256 + "\r\n\r\n")
}

// chunkSize is the length of a chunk of an upload in aws-chunked before coding. It divides
// patternSize.
const chunkSize = 64 << 10

// appendChunk appends a chunk in aws-chunked without a signature.
func appendChunk(dst, data []byte) []byte {
	dst = fmt.Appendf(dst, "%x\r\n", len(data))
	return append(append(dst, data...), "\r\n"...)
}

// chunkPattern returns the pattern in aws-chunked.
func chunkPattern(p []byte) []byte {
	var coded []byte
	for ; len(p) > 0; p = p[chunkSize:] {
		coded = appendChunk(coded, p[:chunkSize])
	}
	return coded
}

// chunkedLength returns the length of n bytes in whole chunks.
func chunkedLength(n int64) int64 {
	return n / chunkSize * int64(len(appendChunk(nil, make([]byte, chunkSize))))
}

// chunkedEnd returns the end of an upload of size bytes: the last chunk if it is shorter
// than the others, and the trailer with the CRC-32.
func chunkedEnd(p []byte, size int64) []byte {
	var end []byte
	if rest := size % chunkSize; rest > 0 {
		from := (size - rest) % patternSize
		end = appendChunk(end, p[from:from+rest])
	}
	sum := crc32.NewIEEE()
	writePattern(sum, p, size)
	return append(end, "0\r\nx-amz-checksum-crc32:"+base64.StdEncoding.EncodeToString(sum.Sum(nil))+"\r\n\r\n"...)
}

// largeS3Request returns an upload of size bytes in aws-chunked, in the form of an AWS SDK
// that does not know the checksum when it sends the head.
func largeS3Request(b *testbed, addr string, size int64) transfer {
	t := transfer{source: b.chunked, length: chunkedLength(size), end: chunkedEnd(b.pattern, size)}
	var head bytes.Buffer
	head.WriteString(s3Head("PUT", addr, size))
	fmt.Fprintf(&head, "Content-Type: application/octet-stream\r\nContent-Encoding: aws-chunked\r\nContent-Length: %d\r\n", t.length+int64(len(t.end)))
	fmt.Fprintf(&head, "X-Amz-Content-SHA256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nx-amz-decoded-content-length: %d\r\n", size)
	head.WriteString("x-amz-sdk-checksum-algorithm: CRC32\r\nx-amz-trailer: x-amz-checksum-crc32\r\n\r\n")
	t.head = head.Bytes()
	return t
}
