package credcache

import (
	"context"
	"time"

	"cosproxy/signer"
)

// Source issues credentials.
type Source interface {
	// Fetch returns credentials for scope. It must return soon after ctx ends, must be
	// safe for concurrent use and must not modify scope's slices.
	//
	// A zero Expires means that the credentials do not expire: a source that issues
	// temporary credentials must itself reject a response without an expiry. An error
	// counts as retryable unless it is, or wraps, a *SourceError that says otherwise.
	Fetch(ctx context.Context, scope Scope) (signer.Credentials, error)
}

// Poller is a Source whose credentials another program may replace at any time, such as
// a file. The cache calls it every PollInterval, whatever the expiry. Unchanged
// credentials then count as a success.
type Poller interface {
	Source
	// PollInterval returns the time between two fetches. It never changes.
	PollInterval() time.Duration
}

// SourceFunc makes a function a Source.
type SourceFunc func(ctx context.Context, scope Scope) (signer.Credentials, error)

// Fetch calls f.
func (f SourceFunc) Fetch(ctx context.Context, scope Scope) (signer.Credentials, error) {
	return f(ctx, scope)
}
