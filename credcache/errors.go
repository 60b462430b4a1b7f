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
	// ErrBadAnswer is the cause when a source answered without an error, but
	// not with a key that could be used: a field is missing, or the expiry is
	// past or impossible.
	ErrBadAnswer = errors.New("the credential source's answer is not a usable key")
	// ErrSameKey is the cause when a source, asked for a new key, gives the one
	// that is about to expire.
	ErrSameKey = errors.New("the credential source has no newer key")
	// ErrTimeout is the cause when a source did not answer within 10 s. It is no
	// context error, so that nobody takes it for the end of their own context.
	ErrTimeout = errors.New("the credential source did not answer in time")
)

// timeoutError keeps what the source says of itself beside ErrTimeout.
func timeoutError(err error) error {
	var failed *SourceError
	if errors.As(err, &failed) {
		return fmt.Errorf("%w (%v): %w", ErrTimeout, fetchTimeout, failed)
	}
	return fmt.Errorf("%w (%v)", ErrTimeout, fetchTimeout)
}

// SourceError is a source's refusal or failure. No field holds a secret.
type SourceError struct {
	Source    string // which source: static, sts, role, oidc, cvm, http, file
	Code      string // the issuer's code, "HTTP 502", a word of the source's own, or ""
	Message   string // what happened, one line of bounded length
	RequestID string // the issuer's id of the request; "" if it gave none
	Hint      string // what to do next; "" if unknown
	Retryable bool   // whether the same call may succeed later
	Err       error  // the cause; nil if the fields above say it all
}

// Error tells code, message, request id and what to do next, on one line.
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

// retryable reports whether a repeat of the call that ended in err may help.
func retryable(err error) bool {
	var failed *SourceError
	return !errors.As(err, &failed) || failed.Retryable
}

// UnavailableError says that there is no valid key for a scope and none could
// be had. The request was not sent; sending it again later is safe.
type UnavailableError struct {
	// Bucket of the scope.
	Bucket string
	// Err is why the last fetch failed.
	Err error

	retryAfter time.Duration
}

// Error names the bucket, the cause and the time of the next attempt.
func (e *UnavailableError) Error() string {
	text := fmt.Sprintf("no valid key for bucket %s: %v", e.Bucket, e.Err)
	if e.retryAfter > 0 {
		text += fmt.Sprintf(" (next attempt in %v)", e.retryAfter.Round(time.Millisecond))
	}
	return text
}

// Unwrap returns why the last fetch failed.
func (e *UnavailableError) Unwrap() error { return e.Err }

// RetryAfter is how long the cache will answer this error without asking the
// source again. It may be zero.
func (e *UnavailableError) RetryAfter() time.Duration { return e.retryAfter }

// OptionError is one mistake in a Scope or in the options of a source. Several
// come joined (errors.Join), so that all can be shown at once.
type OptionError struct {
	// Field is the name of the struct field: "Bucket", "SecretID".
	Field string
	// Problem says what is wrong and what to write instead; never a secret.
	Problem string

	err error // the cause; nil if there is none
}

// Error names the field and the problem.
func (e *OptionError) Error() string { return e.Field + ": " + e.Problem }

// Unwrap returns the cause, such as smallfile.ErrTimeout.
func (e *OptionError) Unwrap() error { return e.err }
