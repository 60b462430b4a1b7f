package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
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
