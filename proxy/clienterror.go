package proxy

// clientError wraps a failure of the connection to the client: the client has left, or
// its body ended early.
type clientError struct{ err error }

// Error returns the text of the cause.
func (e *clientError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *clientError) Unwrap() error { return e.err }
