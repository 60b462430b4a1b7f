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

// largeLoad transfers n bodies of size bytes concurrently, each on a new connection:
// uploads with PUT, downloads with GET.
func largeLoad(ctx context.Context, b *testbed, addr, method string, n int, size int64) error {
	group, ctx := errgroup.WithContext(ctx)
	for range n {
		group.Go(func() error { return moveLarge(ctx, b, addr, method, size) })
	}
	return group.Wait()
}

func moveLarge(ctx context.Context, b *testbed, addr, method string, size int64) error {
	c, err := dial(ctx, addr, timeoutFor(size))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	head := fmt.Sprintf("%s %s%d HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n", method, objectPath, size, addr)
	if method == "PUT" {
		head += fmt.Sprintf("Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", size)
	}
	if _, err := c.Write([]byte(head + "\r\n")); err != nil {
		return err
	}
	want := size
	if method == "PUT" {
		want = 0
		if err := sendPattern(c, b.source, size); err != nil {
			return err
		}
	}
	start, length, err := readHead(c)
	switch {
	case err != nil:
		return err
	case length != want:
		return fmt.Errorf("response of %d bytes, want %d", length, want)
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
