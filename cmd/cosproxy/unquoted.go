package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// unquoted returns err, with another text if its own repeats what a peer or a setting
// said, which may be a secret: net/http quotes header lines that it cannot read, and
// URLs. The text ends where the quotation begins. Nil stays nil.
func unquoted(err error) error {
	if err == nil {
		return err
	}
	cause := err
	if inURL := (*url.Error)(nil); errors.As(err, &inURL) {
		cause = inURL.Err
	}
	text := cause.Error()
	var protocol textproto.ProtocolError
	if errors.As(cause, &protocol) { // its text is: malformed MIME header line: <line>
		kind, _, _ := strings.Cut(string(protocol), ":")
		before, _, _ := strings.Cut(text, string(protocol))
		text = before + kind
	}
	text = harmless(text)
	if text == err.Error() {
		return err
	}
	return &unquotedError{text, err}
}

type unquotedError struct {
	text string
	err  error
}

// Error returns the text that repeats nothing.
func (e *unquotedError) Error() string { return e.text }

// Unwrap returns the error with its own text.
func (e *unquotedError) Unwrap() error { return e.err }

// refusedConnect is the error for an HTTP proxy that does not let cosproxy through.
// net/http's own would be the reason that the proxy gave, whatever that is.
func refusedConnect(status int) error {
	if status == http.StatusOK {
		return nil
	}
	return fmt.Errorf("the HTTP proxy refused CONNECT with %d %s; check HTTPS_PROXY and its user and password", status, http.StatusText(status))
}
