package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"
)

// dialStream connects to l with the default dialer.
func dialStream(t *testing.T, l net.Listener, o ClientOptions) *stream {
	t.Helper()
	o.Origin = &url.URL{Scheme: "http", Host: l.Addr().String()}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	s, err := c.dialer.dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// The kernel detects a dead connection by keep-alive probes and, within StallTimeout, by
// unacknowledged data.
func TestClient_SocketOptions(t *testing.T) {
	l := listen(t)
	defer l.Close()
	raw, err := dialStream(t, l, ClientOptions{StallTimeout: 7 * time.Second}).raw.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]struct{ level, option, want int }{
		"SO_KEEPALIVE":     {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE":     {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
		"TCP_KEEPINTVL":    {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15},
		"TCP_KEEPCNT":      {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 4},
		"TCP_NODELAY":      {syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
		"TCP_USER_TIMEOUT": {syscall.IPPROTO_TCP, tcpUserTimeout, 7000},
	} {
		var got int
		var optionErr error
		err := raw.Control(func(fd uintptr) { got, optionErr = syscall.GetsockoptInt(int(fd), o.level, o.option) })
		if err = errors.Join(err, optionErr); err != nil || got != o.want {
			t.Errorf("%s is %d, want %d (%v)", name, got, o.want, err)
		}
	}
}

func TestStream_Unacknowledged(t *testing.T) {
	l := listen(t)
	defer l.Close()
	s := dialStream(t, l, ClientOptions{})
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := s.raw.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "acknowledgment of the byte", func() bool { return !s.unacknowledged() })
	large := make([]byte, 64<<20) // more than the buffers of a peer that does not read
	_ = s.raw.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := s.raw.Write(large)
	if !errors.Is(err, os.ErrDeadlineExceeded) || !s.unacknowledged() {
		t.Errorf("%d bytes were written (%v), and all are acknowledged", n, err)
	}
	if _, err := io.CopyN(io.Discard, peer, int64(n)+1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "acknowledgment of all bytes", func() bool { return !s.unacknowledged() })
}

// A connection that is not a socket reports false.
func TestStream_UnacknowledgedInMemory(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if newStream(here, time.Minute, 1).unacknowledged() {
		t.Error("unacknowledged returned true for a pipe")
	}
}
