package credcache

import (
	"context"
	"fmt"
	"time"

	"cosproxy/signer"
)

// NewStatic returns a Source that returns creds for every scope. The scope does not limit
// them. With a zero Expires they stay in use even if COS rejects them.
//
// After the expiry Fetch returns a *SourceError that is not retryable.
func NewStatic(creds signer.Credentials) Source {
	return SourceFunc(func(context.Context, Scope) (signer.Credentials, error) {
		if creds.Expired(time.Now()) {
			return signer.Credentials{}, &SourceError{
				Source:  "static",
				Code:    "Expired",
				Message: fmt.Sprintf("the configured credentials %s expired at %s", creds.SecretID, creds.Expires.UTC().Format(time.RFC3339)),
				Hint:    "configure a new SecretId, SecretKey and token and restart, or use a source that renews its credentials",
			}
		}
		return creds, nil
	})
}
