package credcache

import (
	"context"
	"fmt"
	"time"

	"cosproxy/signer"
)

// NewStatic returns a Source that hands out creds for every scope, whatever
// the key may really do: what a given key is allowed was decided where it was
// issued. A zero Expires means that the key is used until COS refuses it.
//
// After its expiry Fetch answers a *SourceError that is not retryable.
func NewStatic(creds signer.Credentials) Source {
	return SourceFunc(func(context.Context, Scope) (signer.Credentials, error) {
		if creds.Expired(time.Now()) {
			return signer.Credentials{}, &SourceError{
				Source:  "static",
				Code:    "Expired",
				Message: fmt.Sprintf("the given key %s expired at %s", creds.SecretID, creds.Expires.UTC().Format(time.RFC3339)),
				Hint:    "give a new SecretId, SecretKey and token and restart, or use a source that renews its keys",
			}
		}
		return creds, nil
	})
}
