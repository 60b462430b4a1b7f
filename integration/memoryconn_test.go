package integration_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
	"cosproxy/proxy"
	"cosproxy/signer"
)

// scriptedConn is the client's end of a connection, in memory: all input is there from
// the start, and it stores the output. Reads and writes never block, so the same bytes
// always have the same result, as fuzzing requires.
type scriptedConn struct {
	input *bytes.Reader
	chunk int // maximum bytes of a Read
	end   func()
	ended chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
}

func newScriptedConn(wire []byte, piece int) *scriptedConn {
	s := &scriptedConn{input: bytes.NewReader(wire), chunk: max(1, piece), ended: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ended) })
	return s
}

// Read implements net.Conn. The server may read on while net/http still does.
func (s *scriptedConn) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.input.Read(p[:min(len(p), s.chunk)])
}

func (s *scriptedConn) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.Write(p)
}

// CloseWrite is Close: after CloseWrite, net/http would wait for the client.
func (s *scriptedConn) CloseWrite() error { s.end(); return nil }
func (s *scriptedConn) Close() error      { s.end(); return nil }

func (s *scriptedConn) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4360}
}
func (s *scriptedConn) RemoteAddr() net.Addr             { return s.LocalAddr() }
func (s *scriptedConn) SetDeadline(time.Time) error      { return nil }
func (s *scriptedConn) SetReadDeadline(time.Time) error  { return nil }
func (s *scriptedConn) SetWriteDeadline(time.Time) error { return nil }

// singleListener is a listener with one connection.
type singleListener struct {
	conn chan net.Conn
	done chan struct{}
}

func (l singleListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l singleListener) Close() error {
	select {
	case <-l.done: // already closed
	default:
		close(l.done)
	}
	return nil
}

func (l singleListener) Addr() net.Addr { return &net.TCPAddr{} }

// upstreamConns are the connections from the sidecar to the emulator. Those that the
// sidecar closes stay half open until the emulator has noticed, so that the stored
// objects are final then.
type upstreamConns struct {
	emu  *cosemu.Server
	open sync.WaitGroup
}

func newUpstreamConns(emu *cosemu.Server) *upstreamConns { return &upstreamConns{emu: emu} }

func (l *upstreamConns) upstream() proxy.Upstream {
	return proxy.Upstream{ConnectTo: l.emu.COSAddr(), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", l.emu.COSAddr())
		if err != nil {
			return nil, err
		}
		l.open.Add(1)
		return &halfClosingConn{Conn: c, done: sync.OnceFunc(l.open.Done)}, nil
	}}
}

type halfClosingConn struct {
	net.Conn
	done func()
}

// Close ends the connection as the end of a process does.
func (c *halfClosingConn) Close() error {
	err := c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	go func() {
		_, _ = io.Copy(io.Discard, c.Conn)
		c.Conn.Close()
		c.done()
	}()
	return err
}

// serveConnection sends bytes to the real server of a proxy and returns its response.
// A panic fails the test.
func serveConnection(t testing.TB, o proxy.Options, wire []byte, piece int) string {
	t.Helper()
	var log syncBuffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p, err := proxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := p.NewServer(proxy.ServerOptions{})
	l := singleListener{make(chan net.Conn, 1), make(chan struct{})}
	c := newScriptedConn(wire, piece)
	l.conn <- c
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	<-c.ended
	server.Close()
	serving.Wait()
	p.Close()
	if text := log.String(); strings.Contains(text, "panic") {
		t.Errorf("%q: %s", wire, text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.output.String()
}

// fixedCredentials is a proxy.Credentials with constant credentials.
type fixedCredentials struct{ creds signer.Credentials }

func (k fixedCredentials) Credentials(context.Context) (signer.Credentials, error) {
	return k.creds, nil
}
func (fixedCredentials) Accepted(string)              {}
func (fixedCredentials) Invalidate(string, bool) bool { return false }
func (k fixedCredentials) Replacement(context.Context, string) (signer.Credentials, bool) {
	return k.creds, false
}
