// Package coserr has errors in the XML form of COS (COS document "Error codes"), so that
// SDKs parse proxy errors like those of COS.
package coserr

import (
	"fmt"
	"strings"
	"time"
)

// Error is a proxy error: an error response that is not from COS.
type Error struct {
	// Status is the HTTP status, such as 403.
	Status int
	// Code is the error code. It is one of COS's codes where one fits, such as
	// AccessDenied or MissingContentLength.
	Code string
	// Message says what happened and what to do next. It is sent to the client and never
	// contains a secret.
	Message string
	// Advice and Settings make the last sentence of the message, such as "Shorten the
	// URL, or raise" and the setting to raise. Both may be empty.
	Advice   string
	Settings []Setting
	// RetryAfter is sent as the Retry-After header, rounded up to seconds, if positive.
	RetryAfter time.Duration
	// Err is the cause. It is logged but not sent. May be nil.
	Err error
}

// Setting names a setting: a field of proxy.Options, or, if Route is not empty, of the
// route with that name.
type Setting struct{ Route, Name string }

// String returns the name of the Go field, such as Limits.BodyBytes.
func (s Setting) String() string { return s.Name }

// New returns an error with a formatted message.
func New(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Try sets Advice and Settings, and returns e.
func (e *Error) Try(advice string, settings ...Setting) *Error {
	e.Advice, e.Settings = advice, settings
	return e
}

// Text returns the message with the advice. name returns the name of a setting; nil means
// Setting.String.
func (e *Error) Text(name func(Setting) string) string {
	if len(e.Settings) == 0 {
		return e.Message
	}
	if name == nil {
		name = Setting.String
	}
	names := make([]string, len(e.Settings))
	for i, s := range e.Settings {
		names[i] = name(s)
	}
	last := len(names) - 1
	list := names[last]
	if last > 0 {
		list = strings.Join(names[:last], ", ") + " or " + list
	}
	return e.Message + " " + e.Advice + " " + list + "."
}

// Describe returns the code, the message with the advice, and the cause, for logs.
func (e *Error) Describe(name func(Setting) string) string {
	text := e.Code + ": " + e.Text(name)
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Error returns Describe with the names of the Go fields.
func (e *Error) Error() string { return e.Describe(nil) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
