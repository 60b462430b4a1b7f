package proxy

import (
	"context"

	"cosproxy/signer"
)

// Credentials hands out the credentials that requests are signed with. It must be
// safe for concurrent use and quick: it is asked once per request.
type Credentials interface {
	// Credentials returns credentials that are valid now. An error that offers
	// RetryAfter() time.Duration sets the Retry-After of the response.
	Credentials(ctx context.Context) (signer.Credentials, error)
	// Accepted reports that COS accepted the credentials named secretID. It is called
	// once per response, so it must be quick.
	Accepted(secretID string)
	// Invalidate reports that COS rejected the credentials named secretID, and again
	// that it did so twice for the same request. It must not wait, nor harm newer
	// credentials. It returns true if the request should try the same ones once more.
	Invalidate(secretID string, again bool) (retry bool)
	// Replacement returns the credentials that replace the rejected ones named
	// secretID, and may wait for them until the end of ctx. ok is false if there are
	// no others; the rejected ones then stay in use.
	Replacement(ctx context.Context, secretID string) (next signer.Credentials, ok bool)
}
