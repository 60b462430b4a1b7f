package credcache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxAnswer bounds what is read of an answer. A token has 4096 bytes
// at most, so a whole answer stays well below.
const maxAnswer = 64 << 10

// dialTimeout is for services across the network.
const dialTimeout = 5 * time.Second

// service is whom a source asks over HTTP, and how its failures are told.
type service struct {
	source string // for errors: "sts"
	what   string // in words: "STS"
	host   string
	check  string // what to look at when somebody else seems to have answered
	next   http.RoundTripper
	// refused says what a status other than 200 means and what to do about it.
	refused func(status int) (message, hint string)
}

// call is one request to a service, and the http.RoundTripper that sends it: it
// binds the request to ctx, which the STS SDK has no place for, and lets only a
// bounded 200 through. So no redirect is followed.
type call struct {
	*service
	ctx    context.Context
	secret string // what the request is authenticated with, for no error to show
}

// RoundTrip sends req under the call's context.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req.WithContext(c.ctx))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, statusError(resp.StatusCode)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}

// get returns the body that url answers with; errors are for failure.
func (c *call) get(url string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := (&http.Client{Transport: c}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

type statusError int

func (e statusError) Error() string { return fmt.Sprintf("HTTP %d", int(e)) }

func (e statusError) retryable() bool {
	return e >= 500 || e == http.StatusTooManyRequests || e == http.StatusRequestTimeout
}

// failure makes a *SourceError of an error of the call. Text from outside
// enters it only where it cannot be part of a credential.
func (c *call) failure(err error) error {
	var (
		status statusError
		size   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &status):
		message, hint := c.refused(int(status))
		return c.error(&SourceError{Code: status.Error(), Message: message, Hint: hint, Retryable: status.retryable()})
	case c.ctx.Err() != nil:
		return c.error(&SourceError{Message: "no answer from " + c.host + " in time", Retryable: true, Err: c.ctx.Err()})
	case errors.As(err, &size):
		return c.error(&SourceError{
			Message: fmt.Sprintf("the answer of %s has more than %d bytes", c.host, size.Limit), Retryable: true, Err: ErrBadAnswer,
		})
	}
	if text := networkError(err); text != "" {
		return c.error(&SourceError{Message: "cannot reach " + c.host + ": " + text, Retryable: true})
	}
	// Not JSON, not of the right form, or broken off. The text of such an error
	// quotes the answer, which may hold a key.
	return c.error(&SourceError{
		Message: "the answer of " + c.host + " is not one of " + c.what + ", or broke off",
		Hint:    c.check, Retryable: true, Err: ErrBadAnswer,
	})
}

// error completes e; its texts may come from outside.
func (c *call) error(e *SourceError) error {
	// In this order, or the beginning of a secret could stay where the line is cut.
	clean := func(text string) string { return oneLine(redact(text, c.secret)) }
	e.Source = c.source
	e.Code, e.Message, e.RequestID = clean(e.Code), clean(e.Message), clean(e.RequestID)
	return e
}

// networkError is the text of err if it is of a kind whose text is made here,
// from addresses and certificates. net/http's errors on malformed answers are
// not: they quote them.
func networkError(err error) string {
	var (
		op   *net.OpError
		cert *tls.CertificateVerificationError
		tlsH tls.RecordHeaderError
		wait net.Error
	)
	switch {
	case errors.As(err, &op):
		return op.Error()
	case errors.As(err, &cert):
		return cert.Error()
	case errors.As(err, &tlsH):
		return "no TLS there"
	case errors.As(err, &wait) && wait.Timeout():
		return "timeout"
	}
	return ""
}

// newTransport is what sources use that are given none. It keeps no connection
// open, as the next call is many minutes away.
func newTransport(dial time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dial}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		DisableKeepAlives:     true,
		ForceAttemptHTTP2:     true,
	}
}
