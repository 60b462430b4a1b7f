package credcache

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxResponse limits a response body in bytes. A session token has at most 4096 bytes,
// so a valid response is much smaller.
const maxResponse = 64 << 10

// dialTimeout is for services across the network.
const dialTimeout = 5 * time.Second

// service is the HTTP service that a source calls, with the texts of its errors.
type service struct {
	source string // for errors: "sts"
	name   string // for messages: "STS"
	host   string
	hint   string // what to do if another server seems to have responded
	next   http.RoundTripper
	// explainStatus returns the meaning of a status other than 200 and what to do next.
	explainStatus func(status int) (message, hint string)
}

// call is one request to a service, and the http.RoundTripper that sends it. It binds
// the request to ctx, for which the STS SDK has no parameter, and accepts only status
// 200 and a body of limited size. So no redirect is followed.
type call struct {
	*service
	ctx     context.Context
	secrets []string // that authenticate the request; removed from errors

	// known are texts that an error response may repeat. Nil: its body is not read.
	known  []string
	detail string // of the error response; "": none

	retryAfter time.Duration // that an error response asks for; 0: nothing
}

// RoundTrip sends req with the context of the call.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req.WithContext(c.ctx))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		if c.known != nil {
			c.detail = errorDetail(resp, c.known)
		}
		c.retryAfter = retryAfter(resp, time.Now())
		resp.Body.Close()
		return nil, statusError(resp.StatusCode)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxResponse)
	return resp, nil
}

// get returns the body of the response to GET url. Pass its errors to failure.
func (c *call) get(url string, header http.Header) ([]byte, error) {
	return c.send(http.MethodGet, url, header, nil)
}

// send is get for any method, with a body.
func (c *call) send(method, url string, header http.Header, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(c.ctx, method, url, bytes.NewReader(body))
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

// failure converts an error of the call to a *SourceError. It quotes text from outside
// only if that cannot be part of a credential.
func (c *call) failure(err error) error {
	var (
		status statusError
		size   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &status):
		message, hint := c.explainStatus(int(status))
		if c.detail != "" {
			message += ": " + c.detail
		}
		return c.error(&SourceError{Code: status.Error(), Message: message, Hint: hint, Retryable: status.retryable(), RetryAfter: c.retryAfter})
	case c.ctx.Err() != nil:
		return c.error(&SourceError{Message: "no response from " + c.host + " in time", Hint: c.hint, Retryable: true, Err: c.ctx.Err()})
	case errors.As(err, &size):
		return c.error(&SourceError{
			Message: fmt.Sprintf("the response from %s has more than %d bytes", c.host, size.Limit), Hint: c.hint, Retryable: true, Err: ErrInvalidResponse,
		})
	}
	if text := networkError(err); text != "" {
		return c.error(&SourceError{Message: "cannot reach " + c.host + ": " + text, Hint: c.hint, Retryable: true})
	}
	// Invalid JSON, JSON of another form, or a truncated body. The text of such an error
	// quotes the response, which may hold credentials.
	return c.error(&SourceError{
		Message: "unexpected or truncated response from " + c.host + ", which should be " + c.name,
		Hint:    c.hint, Retryable: true, Err: ErrInvalidResponse,
	})
}

// error completes e and redacts its texts, which may come from outside.
func (c *call) error(e *SourceError) error {
	// Redact first: truncation could leave the start of a secret.
	clean := func(text string) string {
		for _, secret := range c.secrets {
			text = redact(text, secret)
		}
		return oneLine(text)
	}
	e.Source = c.source
	e.Code, e.Message, e.RequestID = clean(e.Code), clean(e.Message), clean(e.RequestID)
	return e
}

// networkError returns the text of err if it consists of addresses and certificates
// only, and "" otherwise. Errors of net/http on malformed responses quote them.
func networkError(err error) string {
	var (
		op      *net.OpError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		timeout net.Error
	)
	switch {
	case errors.As(err, &op):
		return op.Error()
	case errors.As(err, &cert):
		return cert.Error()
	case errors.As(err, &record):
		return "the server does not speak TLS"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return ""
}

// newTransport returns the default transport of sources. It keeps no connection open,
// because the next call is many minutes away.
func newTransport(dialTimeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		DisableKeepAlives:     true,
		ForceAttemptHTTP2:     true,
	}
}
