//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// transfer is an upload or download of a large body.
type transfer struct {
	head     []byte
	source   *source // of the first length bytes of the body; unused if length is 0
	length   int64
	end      []byte // of the body
	response int64  // length of the body of the response
}

// largeRequest returns a PUT or GET of size bytes in the form of a COS SDK.
func largeRequest(b *testbed, method, addr string, size int64) transfer {
	head := fmt.Sprintf("%s %s%d HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n", method, objectPath, size, addr)
	if method == "GET" {
		return transfer{head: []byte(head + "\r\n"), response: size}
	}
	head += fmt.Sprintf("Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", size)
	return transfer{head: []byte(head), source: b.source, length: size}
}

// largeLoad runs n transfers concurrently, each on a new connection.
func largeLoad(ctx context.Context, addr string, n int, t transfer) error {
	group, ctx := errgroup.WithContext(ctx)
	for range n {
		group.Go(func() error { return t.run(ctx, addr) })
	}
	return group.Wait()
}

func (t transfer) run(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr, timeoutFor(t.length+t.response))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(t.head); err != nil {
		return err
	}
	if err := sendSource(c, t.source, t.length); err != nil {
		return err
	}
	if _, err := c.Write(t.end); err != nil {
		return err
	}
	start, length, err := readHead(c)
	switch {
	case err != nil:
		return err
	case length != t.response:
		return fmt.Errorf("response of %d bytes, want %d", length, t.response)
	}
	return discard(c, length-int64(len(start)))
}

// getOnce sends a GET on a new connection and returns the body of the response.
func getOnce(ctx context.Context, addr, path string) ([]byte, error) {
	c, err := dial(ctx, addr, responseTimeout)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, addr); err != nil {
		return nil, err
	}
	start, length, err := readHead(c)
	if err != nil {
		return nil, err
	}
	body := make([]byte, length)
	n := copy(body, start)
	_, err = io.ReadFull(c, body[n:])
	return body, err
}

// dial connects. The connection fails after timeout.
func dial(ctx context.Context, addr string, timeout time.Duration) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("%s is not a TCP address", addr)
	}
	return tcp, tcp.SetDeadline(time.Now().Add(timeout))
}

// readHead reads the head of a response. It returns the bytes of the body that came
// with it, and the length of the body.
func readHead(c *net.TCPConn) (start []byte, length int64, err error) {
	buf := make([]byte, 8<<10)
	for used := 0; used < len(buf); {
		n, err := c.Read(buf[used:])
		used += n
		head, length, bad := parseResponse(buf[:used])
		if bad != nil || head > 0 {
			return buf[head:used], length, bad
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, errors.New("response with a head over 8 KiB")
}
