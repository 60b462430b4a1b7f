package proxy_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	sys "golang.org/x/sys/unix"

	"cosproxy/proxy"
)

// The kernel watches a connection to COS while nothing moves on it, and while data
// is not acknowledged, for as long as cosproxy itself would wait.
func TestTransport_SocketOptions(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	transport := proxy.NewTransport(proxy.TransportOptions{ConnectTo: s.Listener.Addr().String(), ResponseTimeout: 7 * time.Second})
	t.Cleanup(transport.CloseIdleConnections)
	options := map[string]struct{ level, option, want int }{
		"SO_KEEPALIVE":     {sys.SOL_SOCKET, sys.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE":     {sys.IPPROTO_TCP, sys.TCP_KEEPIDLE, 15},
		"TCP_KEEPINTVL":    {sys.IPPROTO_TCP, sys.TCP_KEEPINTVL, 15},
		"TCP_USER_TIMEOUT": {sys.IPPROTO_TCP, sys.TCP_USER_TIMEOUT, 7000},
	}
	checked := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		raw, err := proxy.TCPConn(info.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for name, o := range options {
			var got int
			err := raw.Control(func(fd uintptr) { got, _ = sys.GetsockoptInt(int(fd), o.level, o.option) })
			if err != nil || got != o.want {
				t.Errorf("%s is %d, want %d (%v)", name, got, o.want, err)
			}
			checked++
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cos.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if resp != nil {
		resp.Body.Close()
	}
	if checked != len(options) {
		t.Errorf("%d options checked (%v)", checked, err)
	}
}

// A small upload of which the peer has not acknowledged all moves to another
// connection; one that the peer has whole does not (TestKeptConnection_NotRepeated).
func TestKeptConnection_Unacknowledged(t *testing.T) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) { err = sys.SetsockoptInt(int(fd), sys.SOL_SOCKET, sys.SO_RCVBUF, 4096) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := newKeys(1)
	var served atomic.Int64
	ended := make(chan struct{})
	up := newUpstream(t, ln, k, func(a *arrival) {
		if served.Add(1) == 2 {
			<-ended // has the header, and reads no more into its small buffer
			return
		}
		if a.readBody() != nil {
			return
		}
		a.answer(ok)
	})
	t.Cleanup(func() { close(ended) })
	r := start(t, setup{keys: k, transport: proxy.TransportOptions{ConnectTo: ln.Addr().String()},
		options: func(o *proxy.Options) { o.Limits.StallTimeout = 4 * time.Second }})
	r.get(t, "/first")
	request, body := sized("PUT /key", 64<<10)
	if rep := r.exchange(t, request); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	seen := up.seen()
	if last := seen[len(seen)-1]; len(seen) != 3 || string(last.body) != body {
		t.Errorf("%d requests reached the upstream, the last with %d bytes", len(seen), len(last.body))
	}
}
