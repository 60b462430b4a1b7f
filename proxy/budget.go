package proxy

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// maxRetries is how often one request is sent again after a transient error.
	maxRetries = 2
	// baseDelay doubles with each retry; the pause is a random part of it
	// ("full jitter"), so that clients which failed together come back apart.
	baseDelay = 100 * time.Millisecond
	// maxRetryAfter bounds a Retry-After that is heeded; a response that asks for
	// more goes to the client, who knows better how long it can wait.
	maxRetryAfter = 2 * time.Second

	// A retry costs one token, a request earns a tenth of one: retries add at
	// most a tenth to the load on COS, after the first hundred.
	budgetTokens = 100
	budgetEarned = 0.1
)

// retryBudget keeps retries from multiplying an outage. Each route has
// its own.
type retryBudget struct {
	mu     sync.Mutex
	tokens float64
}

func newRetryBudget() *retryBudget { return &retryBudget{tokens: budgetTokens} }

// earn notes a request.
func (b *retryBudget) earn() {
	b.mu.Lock()
	b.tokens = min(b.tokens+budgetEarned, budgetTokens)
	b.mu.Unlock()
}

// spend reports whether one more retry may be sent.
func (b *retryBudget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// jitter is the pause before retry n, counted from 0.
func jitter(n int) time.Duration { return rand.N(baseDelay << n) }
