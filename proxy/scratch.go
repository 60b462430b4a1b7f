package proxy

import (
	"context"
	"sync"

	"cosproxy/proxy/http1"
	"cosproxy/signer"
)

// scratch is the memory of one request. Later requests reuse it, so that most requests
// allocate almost nothing.
type scratch struct {
	exchange   *http1.Exchange
	request    request
	upload     upload
	outgoing   outgoing
	wait       *waitContext
	wire       *wire
	candidates [4]candidate
	fields     []signer.Field
	buffer     []byte // for a buffered body
	resumed    resumed
	verified   verified
}

// scratchPool is a pool of scratch values. The zero value is ready for use.
type scratchPool struct{ pool sync.Pool }

func (p *scratchPool) get(x *http1.Exchange) *scratch {
	s, ok := p.pool.Get().(*scratch)
	if !ok {
		s = &scratch{wire: newWire(), buffer: make([]byte, firstPiece)}
	}
	s.exchange = x
	s.wait = &waitContext{Context: x.Context(), exchange: x}
	return s
}

// put returns s to the pool and clears its references.
func (p *scratchPool) put(s *scratch) {
	s.exchange, s.request, s.upload, s.outgoing, s.wait = nil, request{}, upload{}, outgoing{}, nil
	s.resumed, s.verified = resumed{}, verified{}
	clear(s.candidates[:])
	p.pool.Put(s)
}

// waitContext is the context of an exchange for waits. It watches the client from the
// first call of Done on, because watching needs a goroutine. A fetch of credentials may
// hold it after the exchange has ended, so it is not reused.
type waitContext struct {
	context.Context

	mu       sync.Mutex
	exchange *http1.Exchange // nil after end
	stop     func()
}

// Done implements context.Context.
func (w *waitContext) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop == nil && w.exchange != nil {
		w.stop = w.exchange.Watch()
	}
	return w.Context.Done()
}

// end stops watching. It must be called before the connection reads another request.
func (w *waitContext) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
	}
	w.exchange, w.stop = nil, nil
}
