package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// pipes is a listener in memory. With it, a complete rig runs in a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close func()

	breaking bool // accepted connections end with a reset
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.done) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		if p.breaking {
			c = breaking{c}
		}
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// breaking is a connection whose Close is a reset, like that of a client that leaves.
type breaking struct{ net.Conn }

func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		err = syscall.ECONNRESET
	}
	return n, err
}

// dial has the form of http.Transport's DialContext.
func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
