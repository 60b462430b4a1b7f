package http1

import (
	"context"
	"sync"
)

// Canceler ends what one goroutine does for an exchange, from another goroutine:
// its context, and the connection to the origin on which it may be blocked. It
// belongs to one connection of a Server, or to one caller of a Client.
type Canceler struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu   sync.Mutex
	busy *stream // to the origin; nil: none

	// slow is called while a response is slow to come, and returns what ends its
	// effect. Nil: nothing.
	slow func() (stop func())
}

// NewCanceler returns a Canceler that ends with ctx. Release frees it.
func NewCanceler(ctx context.Context) (c *Canceler, release func()) {
	c = newCanceler(ctx)
	stop := context.AfterFunc(ctx, func() { c.Cancel(context.Cause(ctx)) })
	return c, func() {
		stop()
		c.cancel(context.Canceled)
	}
}

func newCanceler(parent context.Context) *Canceler {
	c := &Canceler{}
	c.ctx, c.cancel = context.WithCancelCause(parent)
	return c
}

// Context ends with the Canceler. Its cause is what Cancel was called with.
func (c *Canceler) Context() context.Context { return c.ctx }

// Cancel ends the exchange. Only the first cause counts.
func (c *Canceler) Cancel(cause error) {
	c.cancel(cause)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy != nil {
		c.busy.interrupt(context.Cause(c.ctx), true)
	}
}

// attach has Cancel interrupt s. It fails if Cancel was called before.
func (c *Canceler) attach(s *stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	c.busy = s
	return nil
}

// detach ends attach. It returns the cause if s was interrupted.
func (c *Canceler) detach() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = nil
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return nil
}
