//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// cosFields are the fields of COS's response (COS document "Common Response Headers"),
// with placeholders for Content-Length and CRC-64.
const cosFields = "Content-Type: application/octet-stream\r\nContent-Length: %d\r\nConnection: %s\r\n" +
	"Accept-Ranges: bytes\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\n" +
	"Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\nServer: tencent-cos\r\nx-cos-hash-crc64ecma: %s\r\n" +
	"x-cos-request-id: NjU1ZjFhMmJfYTdmYjM1MGFfMTIzNF81Njc4OWFi\r\nx-cos-storage-class: STANDARD\r\n\r\n"

// respond reads the body of the request and sends the response. An error ends
// the connection.
func (u *upstream) respond(c *upstreamConn, req request) error {
	if req.expect {
		if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return err
		}
	}
	if err := c.discardBody(req.length); err != nil {
		return err
	}
	n := req.object()
	switch {
	case req.path == statsPath:
		stats := fmt.Sprintf("%d %d", u.handshakes.Load(), u.resumed.Load())
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n"+cosFields+"%s", len(stats), "keep-alive", "0", stats)
		return err
	case req.path == signedPath && !req.signed, strings.HasPrefix(req.path, s3Path) && !req.s3:
		_, err := fmt.Fprintf(c, "HTTP/1.1 403 Forbidden\r\n"+cosFields, 0, "keep-alive", "0")
		return err
	case req.method == "PUT" && req.length != n:
		_, err := fmt.Fprintf(c, "HTTP/1.1 400 Bad Request\r\n"+cosFields, 0, "keep-alive", "0")
		return err
	case req.method == "PUT" && req.length == smallSize:
		_, err := c.Write(u.stored)
		return err
	case req.method == "PUT":
		_, err := c.Write(u.head(0, req.length, "keep-alive"))
		return err
	case req.path == closePath:
		return u.sendObject(c, smallSize, "close")
	}
	return u.sendObject(c, n, "keep-alive")
}

// object returns the length of the object that the path names, or smallSize for paths
// without a number.
func (r request) object() int64 {
	n, err := strconv.ParseInt(r.path[strings.LastIndexByte(r.path, '/')+1:], 10, 64)
	if err != nil {
		return smallSize
	}
	return n
}

// head returns the head of a response with a body of length bytes, for an object of
// size bytes.
func (u *upstream) head(length, size int64, connection string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n"+cosFields, length, connection, u.crc(size))
}

// crc returns the CRC-64 of an object as COS writes it.
func (u *upstream) crc(size int64) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.crcs[size]
	if !ok {
		s = strconv.FormatUint(patternCRC(u.pattern, size), 10)
		u.crcs[size] = s
	}
	return s
}

func (u *upstream) sendObject(c *upstreamConn, n int64, connection string) error {
	if n == smallSize && connection == "keep-alive" {
		_, err := c.Write(u.small)
		return err
	}
	head := u.head(n, n, connection)
	if n <= smallSize {
		_, err := c.Write(append(head, u.pattern[:n]...))
		return err
	}
	if _, err := c.Write(head); err != nil {
		return err
	}
	if c.tcp != nil {
		return sendSource(c.tcp, u.source, n)
	}
	for n > 0 {
		k, err := c.Write(u.pattern[:min(n, patternSize)])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// discardBody discards n bytes: those read with the head, then the rest.
func (c *upstreamConn) discardBody(n int64) error {
	k, err := c.r.Discard(int(min(n, int64(c.r.Buffered()))))
	n -= int64(k)
	if err != nil || n == 0 {
		return err
	}
	if c.tcp != nil {
		return discard(c.tcp, n)
	}
	buf := make([]byte, 64<<10)
	for n > 0 {
		k, err := c.Read(buf[:min(n, int64(len(buf)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}
