package proxy

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"cosproxy/signer"
)

// Credentials hands out the key that requests are signed with. It must be safe
// for concurrent use and quick: it is asked once per request.
type Credentials interface {
	// Credentials returns a key that is valid now. An error that offers
	// RetryAfter() time.Duration sets the Retry-After of the answer.
	Credentials(ctx context.Context) (signer.Credentials, error)
	// Accepted reports that COS accepted the key named secretID. It is called
	// once per response, so it must be quick.
	Accepted(secretID string)
	// Invalidate reports that COS rejected the key named secretID, and again that
	// it did so twice for the same request. It must not wait, nor harm a newer
	// key. It returns true if the request should try the same key once more.
	Invalidate(secretID string, again bool) (retry bool)
	// Replacement returns the key that takes the place of the rejected one named
	// secretID, and may wait for it until the end of ctx. ok is false if there is
	// no other; the rejected one then stays in use.
	Replacement(ctx context.Context, secretID string) (next signer.Credentials, ok bool)
}

// signingTransport signs requests and sends them; deliver.go says how often.
type signingTransport struct {
	base        http.RoundTripper
	signer      signer.Signer
	credentials Credentials
	now         func() time.Time
	offset      atomic.Int64 // of COS's clock from ours, in nanoseconds
	budget      *retryBudget
	metrics     *metrics
	maxSilence  time.Duration // of a kept connection, before it is taken for dead
	expect      expectMemory
}

// sign signs req in place, by COS's clock as far as it is known. f is nil unless
// req is a form upload.
func (t *signingTransport) sign(req *http.Request, creds signer.Credentials, f *form) error {
	now := t.now().Add(time.Duration(t.offset.Load()))
	var err error
	if f != nil {
		err = f.sign(&t.signer, req, creds, now)
	} else {
		err = t.signer.Sign(req, creds, now)
	}
	if err != nil {
		return &Error{
			Status:     http.StatusServiceUnavailable,
			Code:       "ServiceUnavailable",
			Message:    "cosproxy could not sign the request; its log says why.",
			RetryAfter: time.Second,
			Err:        err,
		}
	}
	return nil
}
