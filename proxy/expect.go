package proxy

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
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
	// moreTime is how much longer than continueTimeout COS may be silent.
	moreTime func() time.Duration
	// timedOut is asked whether to send the body though nothing has come from COS.
	timedOut func() (send bool)

	answering chan struct{} // closed with the first byte of an answer, which comes once
	agreed    chan struct{} // closed by agree
	// agree is called with each answer that is not the last. Of these only 100 agrees,
	// but a server that sends others may not know Expect (RFC 9110, 15.2), and it takes
	// net/http continueTimeout to ask then.
	agree func()
	ended chan struct{} // closed by shut
	lost  chan struct{} // closed by lose
	lose  func()        // tells that the connection is gone

	mu     sync.Mutex
	opened bool // a byte may have been taken
	closed bool
}

func newGate(ctx context.Context, body io.Reader) *gate {
	agreed, lost := make(chan struct{}), make(chan struct{})
	return &gate{
		body: body, ctx: ctx,
		answering: make(chan struct{}), agreed: agreed, ended: make(chan struct{}),
		agree: sync.OnceFunc(func() { close(agreed) }),
		lost:  lost, lose: sync.OnceFunc(func() { close(lost) }),
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
	g.mu.Unlock()
	err := g.wait()
	g.mu.Lock()
	if err == nil && g.closed {
		err = errBodyNotWanted
	}
	if err != nil {
		return err
	}
	g.opened = true
	return nil
}

// wait returns nil once the body may be sent.
func (g *gate) wait() error {
	silence := time.NewTimer(g.moreTime())
	defer silence.Stop()
	select {
	case <-g.answering:
		return g.consent()
	case <-g.ended:
		return errBodyNotWanted
	case <-g.lost:
		return errUpstreamClosed
	case <-g.ctx.Done():
		return context.Cause(g.ctx)
	case <-silence.C:
	}
	select {
	case <-g.answering: // at the same time
		return g.consent()
	default: // the server, or one in between, may not know Expect
	}
	if !g.timedOut() {
		return errSilent
	}
	return nil
}

// consent waits for what the answer turns out to be.
func (g *gate) consent() error {
	select {
	case <-g.agreed:
		return nil
	case <-g.lost:
		return errUpstreamClosed
	case <-g.ended:
	case <-g.ctx.Done():
	}
	return errBodyNotWanted
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
