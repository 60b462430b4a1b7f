package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestReplacingLimit opens more connections than the limit, on two listeners.
func TestReplacingLimit(t *testing.T) {
	limit := newReplacingLimit(2)
	var clients, servers []net.Conn
	for range 4 {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, dialWithin(t, inner.Addr().String(), time.Minute))
		server, err := limit.listener(inner).Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = inner.Close()
		servers = append(servers, server)
	}
	for i, c := range clients {
		if i >= 2 { // it is still open
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		}
		_, err := c.Read(make([]byte, 1))
		if open := errors.Is(err, os.ErrDeadlineExceeded); open != (i >= 2) || !open && !errors.Is(err, io.EOF) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	for _, c := range servers {
		_ = c.Close() // fails for those that were replaced
	}
	if len(limit.open) > 0 {
		t.Errorf("%d connections are counted after all were closed", len(limit.open))
	}
}
