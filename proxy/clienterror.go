package proxy

// clientError marks failures on the client's side of the connection: it has left, or
// its body broke off.
type clientError struct{ err error }

// Error returns the text of the cause.
func (e *clientError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *clientError) Unwrap() error { return e.err }
