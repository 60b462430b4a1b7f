// Package coserr has errors in the form that COS gives them (COS document "Error
// codes"), so that SDKs read those of the proxy like any other.
package coserr

import (
	"fmt"
	"strings"
	"time"
)

// Error is a response that the proxy gives by itself, without one from COS.
type Error struct {
	// Status is the HTTP status, such as 403.
	Status int
	// Code is the machine-readable name. COS's own names are used wherever one
	// fits, such as AccessDenied or MissingContentLength.
	Code string
	// Message says what happened and what to do next. The client sees it; it never
	// holds a secret.
	Message string
	// Advice and Settings are the last sentence of the message: what can be done
	// with which settings, such as "Send a shorter one, or raise".
	Advice   string
	Settings []Setting
	// RetryAfter, if positive, is sent as the Retry-After header, rounded up
	// to whole seconds.
	RetryAfter time.Duration
	// Err is the cause, for the log only; may be nil.
	Err error
}

// Setting names what an operator can change: a field of the proxy's Options or
// Limits, or of the Route that Route names.
type Setting struct{ Route, Name string }

// String returns the setting as packages call it, such as Limits.BodyBytes.
func (s Setting) String() string { return s.Name }

// New returns an error with a formatted message.
func New(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Try adds the advice and the settings that it concerns.
func (e *Error) Try(advice string, settings ...Setting) *Error {
	e.Advice, e.Settings = advice, settings
	return e
}

// Text is the whole message. name says how a setting is called; nil means
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
		list = strings.Join(names[:last], ", ") + " and " + list
	}
	return e.Message + " " + e.Advice + " " + list + "."
}

// Describe is the code, the whole message and the cause, for a log.
func (e *Error) Describe(name func(Setting) string) string {
	text := e.Code + ": " + e.Text(name)
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Error is Describe with the settings' own names.
func (e *Error) Error() string { return e.Describe(nil) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
