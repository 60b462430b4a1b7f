package credcache

import (
	"context"
	"time"

	"cosproxy/signer"
)

// Source issues credentials.
type Source interface {
	// Fetch returns a key for scope. It must return soon after ctx ends, must
	// be safe for concurrent use and must not modify scope's slices.
	//
	// A zero Expires means that the key never expires: a source that issues
	// temporary keys has to refuse an answer without an expiry itself. An error
	// counts as retryable unless it is, or wraps, a *SourceError that says
	// otherwise.
	Fetch(ctx context.Context, scope Scope) (signer.Credentials, error)
}

// Rechecker is a Source whose key somebody else may replace at any time, such as
// a file. The cache asks it again after each Recheck, however long the key may
// live, and then takes the same key for an answer and not for a failure.
type Rechecker interface {
	Source
	// Recheck is the pause between two looks; it is always the same.
	Recheck() time.Duration
}

// SourceFunc makes a function a Source.
type SourceFunc func(ctx context.Context, scope Scope) (signer.Credentials, error)

// Fetch calls f.
func (f SourceFunc) Fetch(ctx context.Context, scope Scope) (signer.Credentials, error) {
	return f(ctx, scope)
}
