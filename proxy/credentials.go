package proxy

import (
	"context"

	"cosproxy/signer"
)

// Credentials provides the credentials that sign requests. Implementations must be safe
// for concurrent use and fast: every request calls them.
type Credentials interface {
	// Credentials returns credentials that are valid now. If the error has a method
	// RetryAfter() time.Duration, the response has that Retry-After.
	Credentials(ctx context.Context) (signer.Credentials, error)
	// Accepted reports that COS accepted the credentials with this SecretId. Every
	// successful response calls it, so it must be fast.
	Accepted(secretID string)
	// Invalidate reports that COS rejected the credentials with this SecretId; again is
	// true if it rejected them twice for the same request. Invalidate must not block and
	// must not affect newer credentials. It returns true if the request should be tried
	// once more with the same credentials.
	Invalidate(secretID string, again bool) (retry bool)
	// Replacement returns the credentials that replace the rejected ones with this
	// SecretId, and may wait for them until ctx ends. ok is false if there are no newer
	// credentials; the rejected ones then stay in use.
	Replacement(ctx context.Context, secretID string) (next signer.Credentials, ok bool)
}
