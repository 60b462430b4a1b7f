package credcache

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrClosed is the cause of errors after Close.
	ErrClosed = errors.New("the credential cache is closed")
	// ErrInvalidResponse is the cause if a source responded without an error, but
	// its credentials cannot be used: a field is missing, or the expiry is in the
	// past or impossible.
	ErrInvalidResponse = errors.New("the credential source returned unusable credentials")
	// ErrNotRenewed is the cause if a source returned the current credentials again
	// although they are about to expire.
	ErrNotRenewed = errors.New("the credential source has no newer credentials")
	// ErrTimeout is the cause if a source did not respond within 10 s. It does not
	// wrap a context error, so that callers do not take it for the end of their own
	// context.
	ErrTimeout = errors.New("the credential source did not respond in time")
)

// timeoutError wraps ErrTimeout and, if err holds one, the *SourceError. It returns a
// *CallerError as it is.
func timeoutError(err error) error {
	var caller *CallerError
	if errors.As(err, &caller) {
		return caller
	}
	var failed *SourceError
	if errors.As(err, &failed) {
		return fmt.Errorf("%w (%v): %w", ErrTimeout, fetchTimeout, failed)
	}
	return fmt.Errorf("%w (%v); check that this machine can reach it", ErrTimeout, fetchTimeout)
}

// SourceError is the failure of a source. No field holds a secret.
type SourceError struct {
	Source    string // which source: static, sts, role, oidc, cvm, http, file
	Code      string // the issuer's code, "HTTP 502", or a code of the source; "": none
	Message   string // what happened, one line of bounded length
	RequestID string // the issuer's id of the request; "": none
	Hint      string // what to do next; "": unknown
	Retryable bool   // the same call may succeed later
	Err       error  // the cause; nil: the other fields say everything

	// RetryAfter is how long the server asked to wait, at most 5 min. The Cache does not call
	// the source earlier, unless the current credentials expire before. Zero: not known.
	RetryAfter time.Duration
}

// Error returns code, message, request id and hint on one line.
func (e *SourceError) Error() string {
	var b strings.Builder
	b.WriteString(e.Source + ": ")
	if e.Code != "" {
		b.WriteString(e.Code + ": ")
	}
	b.WriteString(e.Message)
	if e.RequestID != "" {
		b.WriteString(" (request id " + e.RequestID + ")")
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// retryable reports whether a retry of the call that failed with err may succeed.
func retryable(err error) bool {
	var failed *SourceError
	return !errors.As(err, &failed) || failed.Retryable
}

// UnavailableError reports that a scope has no valid credentials and a fetch failed.
// Retrying later is safe.
type UnavailableError struct {
	// Bucket of the scope; may be empty.
	Bucket string
	// Err is the error of the last fetch.
	Err error

	retryAfter time.Duration
}

// Error returns the bucket, the cause and the time until the next attempt.
func (e *UnavailableError) Error() string {
	text := "no valid credentials"
	if e.Bucket != "" {
		text += " for bucket " + e.Bucket
	}
	text += ": " + e.Err.Error()
	if e.retryAfter > 0 {
		text += fmt.Sprintf(" (next attempt in %v)", e.retryAfter.Round(time.Millisecond))
	}
	return text
}

// Unwrap returns the error of the last fetch.
func (e *UnavailableError) Unwrap() error { return e.Err }

// RetryAfter returns how long the cache will return this error without calling the
// source. It may be zero.
func (e *UnavailableError) RetryAfter() time.Duration { return e.retryAfter }

// OptionError is one problem of a Scope or of the options of a source. Several are
// joined (errors.Join), so that all can be shown at once.
type OptionError struct {
	// Field is the name of the struct field: "Bucket", "SecretID".
	Field string
	// Problem says what is wrong and what to write instead. It holds no secret.
	Problem string

	err error // the cause; nil: none
}

// Error returns the field and the problem.
func (e *OptionError) Error() string { return e.Field + ": " + e.Problem }

// Unwrap returns the cause, such as smallfile.ErrTimeout.
func (e *OptionError) Unwrap() error { return e.err }
