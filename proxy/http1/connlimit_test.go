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

const anyRequest = "GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n"

// get sends a request and wants the response of noContent.
func (p *peer) get() {
	p.t.Helper()
	p.send(anyRequest)
	p.status("GET", 204, "")
}

func noContent(x *Exchange) {
	x.Response.Start(204, "No Content")
	_ = x.Response.Send(0, nil)
}

// serveInMemory serves listeners until the test ends. What Serve returned comes from
// the channel.
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
			p.get()
			time.Sleep(time.Millisecond) // so that one is idle for longer
		}
		began := time.Now()
		third := l.peer(t)
		third.get()
		if took := time.Since(began); took != 0 {
			t.Errorf("the new client was served after %v", took)
		}
		second.ended()
		synctest.Wait()
		first.get()
		third.get()
	})
}

func TestConnLimit_KeepsBusyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		entered, release := make(chan struct{}, 2), make(chan struct{})
		serveInMemory(t, ServerOptions{MaxConns: 1, Handler: func(x *Exchange) {
			entered <- struct{}{}
			<-release
			noContent(x)
		}}, l)
		busy := l.peer(t)
		busy.send(anyRequest)
		waiting := l.peer(t)
		sent := make(chan error, 1)
		go func() { _, err := io.WriteString(waiting, anyRequest); sent <- err }()
		time.Sleep(30 * time.Second)
		if len(entered) != 1 {
			t.Errorf("%d requests are served at once on one connection", len(entered))
		}
		close(release)
		busy.status("GET", 204, "")
		waiting.status("GET", 204, "")
		if err := <-sent; err != nil {
			t.Error(err)
		}
		busy.ended()
	})
}

// A connection is busy from the first byte of a request on.
func TestConnLimit_KeepsConnectionWithHalfAHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 2}, l)
		sending, idle := l.peer(t), l.peer(t)
		sending.get()
		time.Sleep(time.Millisecond)
		idle.get()
		time.Sleep(time.Millisecond)
		sending.send(anyRequest[:9])
		synctest.Wait()
		l.peer(t).get()
		idle.ended()
		sending.send(anyRequest[9:])
		sending.status("GET", 204, "")
	})
}

func TestConnLimit_ClosesSilentNewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 1}, l)
		silent := l.peer(t)
		began := time.Now()
		l.peer(t).get()
		if took := time.Since(began); took < firstRequestGrace || took > 2*firstRequestGrace {
			t.Errorf("the next client was served after %v", took)
		}
		silent.ended()
	})
}

// A connection that ends makes room at once.
func TestConnLimit_ClosedConnectionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		serveInMemory(t, ServerOptions{Handler: noContent, MaxConns: 1}, l)
		first := l.peer(t)
		second := l.peer(t)
		synctest.Wait()
		began := time.Now()
		first.Close()
		second.get()
		if took := time.Since(began); took != 0 {
			t.Errorf("the next client was served after %v", took)
		}
	})
}

// The limit is one for all listeners. Each that waits gets its turn.
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
				_, err := io.WriteString(c, anyRequest)
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

// Listeners that accept at the same time keep to the limit together.
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
				_, _ = io.WriteString(c, anyRequest)
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
		t.Errorf("%d places are reserved after all connections have ended", s.reserved)
	}
}

// A client that says nothing in place of a TLS handshake does not keep its place.
func TestConnLimit_SilentHandshake(t *testing.T) {
	config, pool := certificate()
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
		c.get()
		if took := time.Since(began); took > 2*firstRequestGrace {
			t.Errorf("the new client was served after %v", took)
		}
		silent.ended()
	})
}

// An accept that fails for another reason than the number of descriptors closes no
// connection.
func TestServer_TemporaryAcceptErrorKeepsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &unlucky{pipeListener: newPipeListener(), fail: make(chan struct{})}
		serveInMemory(t, ServerOptions{Handler: noContent}, l)
		first := l.peer(t)
		first.get()
		synctest.Wait()
		l.fail <- struct{}{}
		time.Sleep(time.Minute / 2)
		first.get()
		l.peer(t).get()
	})
}

// unlucky is a listener whose Accept fails for each value of fail.
type unlucky struct {
	*pipeListener
	fail chan struct{}
}

// Accept implements net.Listener.
func (l *unlucky) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.fail:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.ECONNABORTED}
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Shutdown does not wait for what waits for room.
func TestConnLimit_ShutdownEndsWaitingServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l1, l2 := newPipeListener(), newPipeListener()
		release := make(chan struct{})
		s, ended := serveInMemory(t, ServerOptions{MaxConns: 1, Handler: func(x *Exchange) {
			<-release
			noContent(x)
		}}, l1, l2)
		busy := l1.peer(t)
		busy.send(anyRequest)
		waiting := []*peer{l1.peer(t), l2.peer(t)}
		synctest.Wait()
		began := time.Now()
		shutdown := make(chan error, 1)
		go func() { shutdown <- s.Shutdown(t.Context()) }()
		for _, p := range waiting {
			if err := <-ended; !errors.Is(err, ErrServerClosed) {
				t.Errorf("Serve returned %v", err)
			}
			p.ended()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Serve returned after %v", took)
		}
		close(release)
		busy.status("GET", 204, "")
		if err := <-shutdown; err != nil {
			t.Error(err)
		}
	})
}

// starved is a listener that has no file descriptor while so many connections that
// it has accepted are open.
type starved struct {
	net.Listener
	limit   atomic.Int64
	open    atomic.Int64
	tries   atomic.Int64 // that failed
	backlog net.Conn     // has connected and is not accepted
}

// Accept implements net.Listener.
func (s *starved) Accept() (net.Conn, error) {
	if s.backlog == nil {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s.backlog = c
	}
	if s.open.Load() >= s.limit.Load() {
		s.tries.Add(1)
		return nil, outOfDescriptors("accept")
	}
	c := s.backlog
	s.backlog = nil
	return countOpen(c, &s.open), nil
}

// outOfDescriptors is the error of package net.
func outOfDescriptors(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, syscall.EMFILE)}
}

// counted is a connection that counts until it is closed.
type counted struct {
	net.Conn
	close func()
}

func countOpen(c net.Conn, open *atomic.Int64) net.Conn {
	open.Add(1)
	return &counted{c, sync.OnceFunc(func() { open.Add(-1) })}
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.close()
	return c.Conn.Close()
}

func TestServer_OutOfDescriptorsClosesIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newPipeListener()
		l := &starved{Listener: memory}
		l.limit.Store(2)
		serveInMemory(t, ServerOptions{Handler: noContent}, l)
		began := time.Now()
		for range 10 {
			memory.peer(t).get()
			synctest.Wait()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the clients were served after %v", took)
		}
	})
}

// Where no connection is idle, the server tries again, and not all the time.
func TestServer_OutOfDescriptorsWithoutIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newPipeListener()
		l := &starved{Listener: memory}
		s, ended := serveInMemory(t, ServerOptions{Handler: noContent}, l)
		p := memory.peer(t)
		time.Sleep(10 * time.Second)
		if n := l.tries.Load(); n < 10 || n > 20 {
			t.Errorf("accept was tried %d times in 10 s", n)
		}
		l.limit.Store(1)
		began := time.Now()
		p.get()
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
		rest.ended()
	})
}

// dialLimited dials l and has no file descriptor for more than one connection.
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

// The idle connections to one host must not keep another from being reached.
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
				t.Error("the connection of another request was used")
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

// Nothing is tried for ever, and the error says why.
func TestClient_OutOfDescriptorsWithoutIdle(t *testing.T) {
	dialled, called := 0, 0
	c := newOriginClient(t, "192.0.2.1", ClientOptions{
		Dial: func(context.Context, string, string) (net.Conn, error) {
			dialled++
			return nil, outOfDescriptors("socket")
		},
		OutOfDescriptors: func() { called++ },
	})
	_, err := c.Do(c.canceler, c.call("GET", "/key", ""))
	if !errors.Is(err, syscall.EMFILE) || dialled != 2 || called != 1 {
		t.Errorf("error %v after %d attempts, OutOfDescriptors was called %d times", err, dialled, called)
	}
}
