package proxy

import (
	"context"
	"errors"
	"io"
	"net/http/httptrace"
	"net/textproto"
	"sync"
)

var errBodyNotWanted = errors.New("COS has answered without the request body")

// gate is the body of one attempt to send a large upload. The request goes out
// with Expect: 100-continue (RFC 9110, 10.1.1), and no byte is taken from the
// client before COS has agreed, or has kept silent for continueTimeout. An
// upload that COS refuses by its header can so be sent again whole.
//
// net/http reads a body also when COS has answered without asking for it, so as
// to keep the connection; the gate holds that read up until shut.
type gate struct {
	body io.Reader
	ctx  context.Context

	answering chan struct{} // closed with the first byte of an answer
	agreed    chan struct{} // closed with 100 Continue, or another answer that is not the last
	ended     chan struct{} // closed by shut

	mu     sync.Mutex
	opened bool // a byte may have been taken
	closed bool
}

func newGate(ctx context.Context, body io.Reader) *gate {
	return &gate{body: body, ctx: ctx, answering: make(chan struct{}), agreed: make(chan struct{}), ended: make(chan struct{})}
}

// trace tells the gate what comes from COS. The first byte comes once. Of the
// answers in between only 100 agrees, but whoever sends others may not know
// Expect (RFC 9110, 15.2), and it takes net/http continueTimeout to ask then.
func (g *gate) trace() *httptrace.ClientTrace {
	agree := sync.OnceFunc(func() { close(g.agreed) })
	return &httptrace.ClientTrace{
		GotFirstResponseByte: func() { close(g.answering) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			agree()
			return nil
		},
	}
}

// Read implements io.Reader.
func (g *gate) Read(p []byte) (int, error) {
	if err := g.open(); err != nil {
		return 0, err
	}
	return g.body.Read(p)
}

// Close does nothing, as that of upload.
func (g *gate) Close() error { return nil }

func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return errBodyNotWanted
	case g.opened:
		return nil
	}
	select {
	case <-g.answering:
		g.mu.Unlock()
		err := g.consent()
		g.mu.Lock()
		if err != nil || g.closed {
			return errBodyNotWanted
		}
	default: // silence: the server, or one on the way, may not know Expect
	}
	g.opened = true
	return nil
}

// consent waits for what the answer turns out to be.
func (g *gate) consent() error {
	select {
	case <-g.agreed:
		return nil
	case <-g.ended:
		return errBodyNotWanted
	case <-g.ctx.Done():
		return context.Cause(g.ctx)
	}
}

// shut ends the attempt's right to the body, and reports whether none of it has
// been taken.
func (g *gate) shut() (untouched bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		close(g.ended)
	}
	return !g.opened
}
