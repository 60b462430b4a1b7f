package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// unquoted returns an error like err whose text contains no quotations. net/http quotes
// URLs and invalid header lines, which may contain secrets. The text ends at the first
// quotation. It returns nil for nil.
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
	if errors.As(cause, &protocol) { // text: malformed MIME header line: <line>
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

// Error returns the text without quotations.
func (e *unquotedError) Error() string { return e.text }

// Unwrap returns the original error.
func (e *unquotedError) Unwrap() error { return e.err }

// refusedConnect returns an error if an HTTP proxy refused CONNECT. The error of net/http
// would contain the reason phrase of the proxy, which may be anything.
func refusedConnect(status int) error {
	if status == http.StatusOK {
		return nil
	}
	return fmt.Errorf("the HTTP proxy refused CONNECT with %d %s; check HTTPS_PROXY and its user and password", status, http.StatusText(status))
}
