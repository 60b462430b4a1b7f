package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener is a listener in memory, for synctest bubbles.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newPipeListener() *pipeListener {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error { l.close(); return nil }

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial is a ClientOptions.Dial. It returns when the connection is accepted.
func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// peer connects a peer, which fails the test after a minute.
func (l *pipeListener) peer(t testing.TB) *peer {
	t.Helper()
	c, err := l.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return &peer{Conn: c, t: t, r: bufio.NewReader(c)}
}

const getKey = "GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n"

// getNoContent sends a request and checks the response of noContent.
func (p *peer) getNoContent() {
	p.t.Helper()
	p.send(getKey)
	p.wantResponse("GET", 204, "")
}

func noContent(x *Exchange) {
	x.Response.Start(204, "No Content")
	_ = x.Response.Send(0, nil)
}

// serveInMemory serves listeners until the test ends. The channel receives the results of
// Serve.
func serveInMemory(t testing.TB, o ServerOptions, listeners ...net.Listener) (*Server, <-chan error) {
	t.Helper()
	s, ended := NewServer(o), make(chan error, len(listeners))
	var running sync.WaitGroup
	for _, l := range listeners {
		running.Go(func() { ended <- s.Serve(l) })
	}
	t.Cleanup(func() {
		s.Close()
		running.Wait()
	})
	return s, ended
}

func TestConnLimit_ClosesLongestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 2}, l)
		first, second := l.peer(t), l.peer(t)
		for _, p := range []*peer{first, second, first} {
			p.getNoContent()
			time.Sleep(time.Millisecond) // so that idle times differ
		}
		began := time.Now()
		third := l.peer(t)
		third.getNoContent()
		if took := time.Since(began); took != 0 {
			t.Errorf("the new client was served after %v", took)
		}
		second.wantClosed()
		synctest.Wait()
		first.getNoContent()
		third.getNoContent()
	})
}

func TestConnLimit_BusyConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		entered, release := make(chan struct{}, 2), make(chan struct{})
		serveInMemory(t, ServerOptions{MaxConns: 1, Handler: func(x *Exchange) {
			entered <- struct{}{}
			<-release
			noContent(x)
		}}, l)
		busy := l.peer(t)
		busy.send(getKey)
		waiting := l.peer(t)
		sent := make(chan error, 1)
		go func() { _, err := io.WriteString(waiting, getKey); sent <- err }()
		time.Sleep(30 * time.Second)
		if len(entered) != 1 {
			t.Errorf("%d requests are served at once, MaxConns is 1", len(entered))
		}
		close(release)
		busy.wantResponse("GET", 204, "")
		waiting.wantResponse("GET", 204, "")
		if err := <-sent; err != nil {
			t.Error(err)
		}
		busy.wantClosed()
	})
}

// A connection is busy from the first byte of a request.
func TestConnLimit_IncompleteHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 2}, l)
		sending, idle := l.peer(t), l.peer(t)
		sending.getNoContent()
		time.Sleep(time.Millisecond)
		idle.getNoContent()
		time.Sleep(time.Millisecond)
		sending.send(getKey[:9])
		synctest.Wait()
		l.peer(t).getNoContent()
		idle.wantClosed()
		sending.send(getKey[9:])
		sending.wantResponse("GET", 204, "")
	})
}

func TestConnLimit_SilentNewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 1}, l)
		silent := l.peer(t)
		began := time.Now()
		l.peer(t).getNoContent()
		if took := time.Since(began); took < firstRequestGrace || took > 2*firstRequestGrace {
			t.Errorf("the next client was served after %v", took)
		}
		silent.wantClosed()
	})
}

// When a client closes its connection, a waiting one is accepted at once.
func TestConnLimit_ClientCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 1}, l)
		first := l.peer(t)
		second := l.peer(t)
		synctest.Wait()
		began := time.Now()
		first.Close()
		second.getNoContent()
		if took := time.Since(began); took != 0 {
			t.Errorf("the next client was served after %v", took)
		}
	})
}

// All listeners share the limit. Each waiting listener gets its turn.
func TestConnLimit_SeveralListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listeners := []net.Listener{newPipeListener(), newPipeListener(), newPipeListener()}
		release := make(chan struct{})
		serveInMemory(t, ServerOptions{MaxConns: 1, Handler: func(x *Exchange) {
			<-release
			x.Response.close = true
			noContent(x)
		}}, listeners...)
		var clients sync.WaitGroup
		for i, l := range listeners {
			c := l.(*pipeListener).peer(t)
			clients.Go(func() {
				_, err := io.WriteString(c, getKey)
				if rest, readErr := io.ReadAll(c); err != nil || readErr != nil || !strings.HasPrefix(string(rest), "HTTP/1.1 204 ") {
					t.Errorf("client %d got %q (%v, %v)", i, rest, err, readErr)
				}
			})
			synctest.Wait()
		}
		close(release)
		began := time.Now()
		clients.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("all were served after %v", took)
		}
	})
}

// Listeners that accept at the same time do not exceed the limit.
func TestConnLimit_SeveralListenersAtOnce(t *testing.T) {
	const limit = 2
	var open, most atomic.Int64
	listeners := make([]net.Listener, 8)
	for i := range listeners {
		listeners[i] = newPipeListener()
	}
	s, _ := serveInMemory(t, ServerOptions{MaxConns: limit, Handler: func(x *Exchange) {
		now := open.Add(1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		runtime.Gosched()
		open.Add(-1)
		x.Response.close = true
		noContent(x)
	}}, listeners...)
	var clients sync.WaitGroup
	for range 300 {
		for _, l := range listeners {
			clients.Go(func() {
				c := l.(*pipeListener).peer(t)
				_, _ = io.WriteString(c, getKey)
				_, _ = io.Copy(io.Discard, c)
			})
		}
	}
	clients.Wait()
	if most.Load() > limit {
		t.Errorf("%d connections were served at once, the limit is %d", most.Load(), limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved != 0 {
		t.Errorf("%d connections are reserved after all have ended", s.reserved)
	}
}

// A client that does not begin the TLS handshake is closed like an idle one.
func TestConnLimit_SilentHandshake(t *testing.T) {
	config, pool := testCertificate()
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 1, TLS: config, HeaderTimeout: time.Hour,
			HandshakeFailed: func(_ net.Addr, err error) { t.Errorf("a failed handshake is reported: %v", err) }}, l)
		silent := l.peer(t)
		began := time.Now()
		c := l.peer(t)
		c.Conn = tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Time: func() time.Time { return now }})
		c.r.Reset(c.Conn)
		c.getNoContent()
		if took := time.Since(began); took > 2*firstRequestGrace {
			t.Errorf("the new client was served after %v", took)
		}
		silent.wantClosed()
	})
}

// An Accept error other than EMFILE and ENFILE closes no idle connection.
func TestServer_TemporaryAcceptError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &failingListener{pipeListener: newPipeListener(), fail: make(chan struct{})}
		serveInMemory(t, ServerOptions{Handler: noContent}, l)
		first := l.peer(t)
		first.getNoContent()
		synctest.Wait()
		l.fail <- struct{}{}
		time.Sleep(time.Minute / 2)
		first.getNoContent()
		l.peer(t).getNoContent()
	})
}

// failingListener is a listener whose Accept fails once per value of fail.
type failingListener struct {
	*pipeListener
	fail chan struct{}
}

// Accept implements net.Listener.
func (l *failingListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.fail:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.ECONNABORTED}
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Shutdown waits for connections that were accepted at the limit, and closes them if they
// have sent nothing.
func TestConnLimit_ShutdownWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l1, l2 := newPipeListener(), newPipeListener()
		release := make(chan struct{})
		s, ended := serveInMemory(t, ServerOptions{MaxConns: 1, Handler: func(x *Exchange) {
			<-release
			noContent(x)
		}}, l1, l2)
		busy := l1.peer(t)
		busy.send(getKey)
		waiting := []*peer{l1.peer(t), l2.peer(t)}
		synctest.Wait()
		shutdown := make(chan error, 1)
		go func() { shutdown <- s.Shutdown(t.Context()) }()
		synctest.Wait()
		close(release)
		busy.wantResponse("GET", 204, "")
		for _, p := range waiting {
			if err := <-ended; !errors.Is(err, ErrServerClosed) {
				t.Errorf("Serve returned %v", err)
			}
			p.wantClosed()
		}
		if err := <-shutdown; err != nil {
			t.Error(err)
		}
	})
}

// Close ends a Serve that waits at the limit.
func TestConnLimit_CloseWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		s, ended := serveInMemory(t, ServerOptions{MaxConns: 1, Handler: func(x *Exchange) { <-x.Context().Done() }}, l)
		busy := l.peer(t)
		busy.send(getKey)
		waiting := l.peer(t)
		synctest.Wait()
		s.Close()
		if err := <-ended; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
		waiting.wantClosed()
	})
}

// limitedListener is a listener whose Accept fails with EMFILE while limit of its
// connections are open.
type limitedListener struct {
	net.Listener
	limit    atomic.Int64
	open     atomic.Int64
	failures atomic.Int64
	backlog  net.Conn // connected, not accepted yet
}

// Accept implements net.Listener.
func (s *limitedListener) Accept() (net.Conn, error) {
	if s.backlog == nil {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s.backlog = c
	}
	if s.open.Load() >= s.limit.Load() {
		s.failures.Add(1)
		return nil, outOfDescriptors("accept")
	}
	c := s.backlog
	s.backlog = nil
	return countOpen(c, &s.open), nil
}

// outOfDescriptors returns EMFILE as package net does.
func outOfDescriptors(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, syscall.EMFILE)}
}

// openConn is a connection that calls close when it is closed.
type openConn struct {
	net.Conn
	close func()
}

func countOpen(c net.Conn, open *atomic.Int64) net.Conn {
	open.Add(1)
	return &openConn{c, sync.OnceFunc(func() { open.Add(-1) })}
}

// Close implements net.Conn.
func (c *openConn) Close() error {
	c.close()
	return c.Conn.Close()
}

func TestServer_OutOfDescriptorsClosesIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newPipeListener()
		l := &limitedListener{Listener: memory}
		l.limit.Store(2)
		serveInMemory(t, ServerOptions{Handler: noContent}, l)
		began := time.Now()
		for range 10 {
			memory.peer(t).getNoContent()
			synctest.Wait()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the clients were served after %v", took)
		}
	})
}

// If no connection is idle, the server retries Accept with a backoff.
func TestServer_OutOfDescriptorsWithoutIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newPipeListener()
		l := &limitedListener{Listener: memory}
		s, ended := serveInMemory(t, ServerOptions{Handler: noContent}, l)
		p := memory.peer(t)
		time.Sleep(10 * time.Second)
		if n := l.failures.Load(); n < 10 || n > 20 {
			t.Errorf("accept was tried %d times in 10 s", n)
		}
		l.limit.Store(1)
		began := time.Now()
		p.getNoContent()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the client was served after %v", took)
		}
		p.Close()
		synctest.Wait()
		l.limit.Store(0)
		rest := memory.peer(t)
		synctest.Wait()
		s.Close()
		if err := <-ended; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
		l.backlog.Close()
		rest.wantClosed()
	})
}

// dialLimited dials l. It fails with EMFILE while a connection is open.
func dialLimited(l *pipeListener, open *atomic.Int64) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if open.Load() > 0 {
			return nil, outOfDescriptors("socket")
		}
		c, err := l.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return countOpen(c, open), nil
	}
}

func newOriginClient(t testing.TB, host string, o ClientOptions) *testClient {
	t.Helper()
	o.Origin = &url.URL{Scheme: "http", Host: host}
	return newTestClient(t, o)
}

// OutOfDescriptors can close idle connections of other clients.
func TestClient_OutOfDescriptorsClosesIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent}, l)
		var open atomic.Int64
		var clients []*testClient
		for _, host := range []string{"192.0.2.1", "192.0.2.2"} {
			clients = append(clients, newOriginClient(t, host, ClientOptions{
				Dial: dialLimited(l, &open),
				OutOfDescriptors: func() {
					for _, c := range clients {
						c.CloseIdle()
					}
				},
			}))
		}
		for i := range 4 {
			c := clients[i%2]
			resp, err := c.Do(c.canceler, c.call("GET", "/key", ""))
			if err != nil {
				t.Fatal(err)
			}
			if resp.Reused {
				t.Error("the connection was reused")
			}
			resp.Close()
		}
	})
}

// Without OutOfDescriptors, a client closes its own idle connections. Here, one becomes
// idle while another is dialed.
func TestClient_OutOfDescriptorsDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent}, l)
		var open atomic.Int64
		var first *Response
		dial := dialLimited(l, &open)
		c := newOriginClient(t, "192.0.2.1", ClientOptions{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if first != nil {
				first.Close()
			}
			return dial(ctx, network, address)
		}})
		var err error
		first, err = c.Do(c.canceler, c.call("GET", "/key", ""))
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.Do(c.canceler, c.call("GET", "/key", ""))
		if err != nil {
			t.Fatal(err)
		}
		if second.Reused {
			t.Error("the second request did not dial")
		}
		second.Close()
	})
}

// The dial is retried once, and the error is EMFILE.
func TestClient_OutOfDescriptorsWithoutIdle(t *testing.T) {
	dials, called := 0, 0
	c := newOriginClient(t, "192.0.2.1", ClientOptions{
		Dial: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, outOfDescriptors("socket")
		},
		OutOfDescriptors: func() { called++ },
	})
	_, err := c.Do(c.canceler, c.call("GET", "/key", ""))
	if !errors.Is(err, syscall.EMFILE) || dials != 2 || called != 1 {
		t.Errorf("error %v after %d attempts, OutOfDescriptors was called %d times", err, dials, called)
	}
}
