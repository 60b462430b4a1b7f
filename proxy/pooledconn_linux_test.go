package proxy_test

import (
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	sys "golang.org/x/sys/unix"

	"cosproxy/proxy"
)

// A small upload that the peer has not acknowledged completely is sent again on another
// connection; an acknowledged one is not (TestPooledConnection_NotRepeated).
func TestPooledConnection_Unacknowledged(t *testing.T) {
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
	k := newCredentials(1)
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
		a.respond(ok)
	})
	t.Cleanup(func() { close(ended) })
	r := start(t, setup{creds: k, upstream: proxy.Upstream{ConnectTo: ln.Addr().String()},
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
