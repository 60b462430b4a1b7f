package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

const anyRequest = "GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n"

// limited serves h on ln with at most limit connections, and returns what stops it.
func limited(t *testing.T, ln net.Listener, limit int, h http.HandlerFunc) (stop func()) {
	server := proxy.NewServer(h, proxy.ServerOptions{})
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(proxy.NewConnLimit(limit).Listener(ln)) })
	stop = sync.OnceFunc(func() { server.Close(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// connect opens a connection that fails the test after a minute.
func connect(t *testing.T, ln net.Listener) *client {
	t.Helper()
	var c net.Conn
	var err error
	if memory, ok := ln.(*pipes); ok {
		c, err = memory.dial(t.Context(), "", "")
	} else {
		c, err = net.Dial("tcp", ln.Addr().String())
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// served sends a request and wants its response.
func (c *client) served() {
	c.t.Helper()
	c.send(anyRequest)
	if rep := c.reply("GET"); rep.status != http.StatusNoContent {
		c.t.Errorf("status %d", rep.status)
	}
}

// wantClosed fails unless the server has closed the connection.
func (c *client) wantClosed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("the connection is not closed: read %q, %v", b, err)
	}
}

func TestConnLimit_ClosesLongestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		stop := limited(t, ln, 2, noContent)
		first, second := connect(t, ln), connect(t, ln)
		for _, c := range []*client{first, second, first} {
			c.served()
			synctest.Wait()
		}
		third := connect(t, ln)
		third.served()
		second.wantClosed()
		synctest.Wait()
		first.served()
		third.served()
		stop()
	})
}

func TestConnLimit_KeepsBusyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		entered, release := make(chan struct{}, 2), make(chan struct{})
		stop := limited(t, ln, 1, func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-release
			noContent(w, r)
		})
		busy := connect(t, ln)
		busy.send(anyRequest)
		waiting := connect(t, ln)
		sent := make(chan error, 1)
		go func() { _, err := io.WriteString(waiting, anyRequest); sent <- err }()
		time.Sleep(30 * time.Second)
		if len(entered) != 1 {
			t.Errorf("%d requests are served at once on one connection", len(entered))
		}
		close(release)
		for _, c := range []*client{busy, waiting} {
			if rep := c.reply("GET"); rep.status != http.StatusNoContent {
				t.Errorf("status %d", rep.status)
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		busy.wantClosed()
		stop()
	})
}

// A connection is busy from the first byte of a request on.
func TestConnLimit_KeepsConnectionWithHalfAHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		stop := limited(t, ln, 2, noContent)
		sending, idle := connect(t, ln), connect(t, ln)
		sending.served()
		synctest.Wait()
		idle.served()
		synctest.Wait()
		sending.send(anyRequest[:9])
		synctest.Wait()
		connect(t, ln).served()
		idle.wantClosed()
		sending.send(anyRequest[9:])
		if rep := sending.reply("GET"); rep.status != http.StatusNoContent {
			t.Errorf("status %d", rep.status)
		}
		stop()
	})
}

func TestConnLimit_ClosesSilentNewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		stop := limited(t, ln, 1, noContent)
		silent := connect(t, ln)
		began := time.Now()
		connect(t, ln).served()
		if took := time.Since(began); took < time.Second || took > 2*time.Second {
			t.Errorf("the next client was served after %v", took)
		}
		silent.wantClosed()
		stop()
	})
}

func TestConnLimit_CloseEndsWaitingAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		limit := proxy.NewConnLimit(1).Listener(ln)
		first := connectAsync(t, ln)
		accepted, err := limit.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		defer (<-first).Close()
		second := connectAsync(t, ln)
		failed := make(chan error, 1)
		go func() { _, err := limit.Accept(); failed <- err }()
		client := <-second
		defer client.Close()
		synctest.Wait()
		if err := limit.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v", err)
		}
		client.wantClosed()
	})
}

func connectAsync(t *testing.T, ln net.Listener) <-chan *client {
	c := make(chan *client, 1)
	go func() { c <- connect(t, ln) }()
	return c
}

// starved is a listener that has no file descriptor while so many connections that
// it has accepted are open.
type starved struct {
	net.Listener
	most    int64
	open    atomic.Int64
	backlog net.Conn // has connected and is not accepted
}

func (s *starved) Accept() (net.Conn, error) {
	if s.backlog == nil {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s.backlog = c
	}
	if s.open.Load() >= s.most {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	c := s.backlog
	s.backlog = nil
	s.open.Add(1)
	return &counted{Conn: c, open: &s.open}, nil
}

// counted is a connection that counts until it is closed.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

func TestConnLimit_ClosesIdleWhenDescriptorsRunOut(t *testing.T) {
	ln := &starved{Listener: listen(t), most: 2}
	limited(t, ln, 0, noContent)
	for range 10 {
		connect(t, ln).served()
	}
}

func TestAccept_OutOfDescriptorsWithoutIdle(t *testing.T) {
	ln := &starved{Listener: listen(t)}
	limit := proxy.NewConnLimit(0).Listener(ln)
	defer limit.Close()
	connect(t, ln)
	if _, err := limit.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Accept returned %v", err)
	}
	ln.backlog.Close()
}

// The idle connections to one host must not keep another from being reached.
func TestTransport_ReclaimsDescriptorsOfIdleConnections(t *testing.T) {
	ln := listen(t)
	limited(t, ln, 0, noContent)
	var open atomic.Int64
	transport := proxy.NewTransport(proxy.TransportOptions{}.DialWith(func(context.Context, string, string) (net.Conn, error) {
		if open.Load() > 0 {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &counted{Conn: c, open: &open}, nil
	}))
	defer transport.CloseIdleConnections()
	for _, host := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.1"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/key", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		// net/http may take a moment to make the connection before idle.
		for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			resp, err = transport.RoundTrip(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
