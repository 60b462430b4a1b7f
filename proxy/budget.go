package proxy

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// maxRetries is the maximum number of retries of one request after transient errors.
	maxRetries = 2
	// baseDelay doubles with each retry. The actual delay is random between zero and
	// that ("full jitter"), so that clients do not retry at the same time.
	baseDelay = 100 * time.Millisecond
	// maxRetryAfter is the maximum Retry-After that the proxy waits for. A response with
	// a longer one goes to the client, which decides how long to wait.
	maxRetryAfter = 2 * time.Second

	// A retry spends one token, a request earns a tenth of one: after the first
	// hundred, retries add at most a tenth to the load on COS.
	budgetTokens = 100
	budgetEarned = 0.1
)

// retryBudget limits the retries of one route, so that they do not amplify an outage.
type retryBudget struct {
	mu     sync.Mutex
	tokens float64
}

func newRetryBudget() *retryBudget { return &retryBudget{tokens: budgetTokens} }

// earn adds the share of one request.
func (b *retryBudget) earn() {
	b.mu.Lock()
	b.tokens = min(b.tokens+budgetEarned, budgetTokens)
	b.mu.Unlock()
}

// spend takes the cost of a retry. It returns false if the budget is exhausted.
func (b *retryBudget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// jitter returns the delay before retry n, counted from 0.
func jitter(n int) time.Duration { return rand.N(baseDelay << n) }
