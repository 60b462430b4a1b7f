package http1

import (
	"context"
	"sync"
)

// Canceler cancels an exchange from another goroutine. It cancels the context of the
// exchange and interrupts reads and writes on the connection to the origin. Each
// connection of a Server has one; Exchange.Canceler returns it.
type Canceler struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	stream *stream // the connection to the origin in use; nil: none

	// onSlow is called when a response takes longer than slowAfter. The caller calls
	// stop when the response continues. Nil: not called.
	onSlow func() (stop func())
}

func newCanceler(parent context.Context) *Canceler {
	c := &Canceler{}
	c.ctx, c.cancel = context.WithCancelCause(parent)
	return c
}

// Context returns the context that Cancel cancels with its cause.
func (c *Canceler) Context() context.Context { return c.ctx }

// Cancel cancels the exchange. Later calls do not change the cause.
func (c *Canceler) Cancel(cause error) {
	c.cancel(cause)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream != nil {
		c.stream.interrupt(context.Cause(c.ctx), true)
	}
}

// attach makes Cancel interrupt s. It returns the cause if Cancel was called before.
func (c *Canceler) attach(s *stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	c.stream = s
	return nil
}

// detach undoes attach. It returns the cause if Cancel was called.
func (c *Canceler) detach() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream = nil
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return nil
}
