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

// scripted is the client's end of a connection, in memory: it has said all that it
// has to say, and takes in what is answered. Nobody waits for anything, so that
// the same bytes take the same course each time, as fuzzing needs.
type scripted struct {
	said  *bytes.Reader
	piece int // bytes that arrive together
	end   func()
	ended chan struct{}

	mu     sync.Mutex
	answer bytes.Buffer
}

func newScripted(wire []byte, piece int) *scripted {
	s := &scripted{said: bytes.NewReader(wire), piece: max(1, piece), ended: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ended) })
	return s
}

// Read implements net.Conn. The server may read on while net/http still does.
func (s *scripted) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Read(p[:min(len(p), s.piece)])
}

func (s *scripted) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer.Write(p)
}

// CloseWrite ends it as Close does: net/http lingers after it, for the network's sake.
func (s *scripted) CloseWrite() error { s.end(); return nil }
func (s *scripted) Close() error      { s.end(); return nil }

func (s *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4360} }
func (s *scripted) RemoteAddr() net.Addr             { return s.LocalAddr() }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// only is a listener with one connection.
type only struct {
	conn chan net.Conn
	done chan struct{}
}

func (l only) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l only) Close() error {
	select {
	case <-l.done: // it is closed already
	default:
		close(l.done)
	}
	return nil
}

func (l only) Addr() net.Addr { return &net.TCPAddr{} }

// line leads from the sidecar to the emulator. What the sidecar breaks off, it
// watches until the emulator has noticed, so that what is stored then is all.
type line struct {
	emu  *cosemu.Server
	open sync.WaitGroup
}

func newLine(emu *cosemu.Server) *line { return &line{emu: emu} }

func (l *line) upstream() proxy.Upstream {
	return proxy.Upstream{ConnectTo: l.emu.COSAddr(), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", l.emu.COSAddr())
		if err != nil {
			return nil, err
		}
		l.open.Add(1)
		return &lingering{Conn: c, gone: sync.OnceFunc(l.open.Done)}, nil
	}}
}

type lingering struct {
	net.Conn
	gone func()
}

// Close ends the connection as the end of a process does.
func (c *lingering) Close() error {
	err := c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	go func() {
		_, _ = io.Copy(io.Discard, c.Conn)
		c.Conn.Close()
		c.gone()
	}()
	return err
}

// converse gives bytes to the real server of a proxy, and returns what it
// answers. A panic fails the test.
func converse(t testing.TB, o proxy.Options, wire []byte, piece int) string {
	t.Helper()
	var log syncBuffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p, err := proxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := p.NewServer(proxy.ServerOptions{})
	l := only{make(chan net.Conn, 1), make(chan struct{})}
	c := newScripted(wire, piece)
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
	return c.answer.String()
}

// oneKey is a proxy.Credentials that has one key.
type oneKey struct{ key signer.Credentials }

func (k oneKey) Credentials(context.Context) (signer.Credentials, error) { return k.key, nil }
func (oneKey) Accepted(string)                                           {}
func (oneKey) Invalidate(string, bool) bool                              { return false }
func (k oneKey) Replacement(context.Context, string) (signer.Credentials, bool) {
	return k.key, false
}
