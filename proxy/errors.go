package proxy

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Error is an answer that the proxy gives by itself, without one from COS. It
// goes to the client in the XML form of the COS error code document, so that
// SDKs parse it like any other.
type Error struct {
	// Status is the HTTP status, such as 403.
	Status int
	// Code is the machine-readable name. COS's own names are used wherever one
	// fits, such as AccessDenied or MissingContentLength.
	Code string
	// Message says what happened and what to do next. It is shown to the
	// client and never holds a secret.
	Message string
	// RetryAfter, if positive, is sent as the Retry-After header, rounded up
	// to whole seconds.
	RetryAfter time.Duration
	// Err is the cause, for the log only; may be nil.
	Err error
}

// Error returns the code, the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Code + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s (%v)", e.Code, e.Message, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// errClient marks failures on the client's side of the connection: it went
// away, or its body broke off.
type errClient struct{ error }

func (e errClient) Unwrap() error { return e.error }

// credentialError turns a failed key fetch into 503. A cause that offers
// RetryAfter says when a new attempt makes sense.
func credentialError(err error) error {
	if errors.Is(err, context.Canceled) {
		return errClient{err}
	}
	answer := &Error{
		Status:     http.StatusServiceUnavailable,
		Code:       "ServiceUnavailable",
		Message:    "cosproxy has no valid key for COS at the moment; its log and its admin page say why. Retry later.",
		RetryAfter: time.Second,
		Err:        err,
	}
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		answer.RetryAfter = max(later.RetryAfter(), time.Second)
	}
	return answer
}

// failure turns what a round trip failed with into the answer for the client:
// 400 when the client's own body broke off, 504 for a timeout, else 502.
func (x *exchange) failure(err error) error {
	var answer *Error
	if errors.As(err, &answer) {
		return answer
	}
	ended := context.Cause(x.ctx)
	if ended != nil && !errors.Is(ended, context.Canceled) {
		return x.cutOff(ended)
	}
	// net/http cancels also when the client breaks off its body but still listens.
	if cause := x.upload.clientErr(); cause != nil {
		return &Error{
			Status:  http.StatusBadRequest,
			Code:    "IncompleteBody",
			Message: "The request body ended before the announced length; nothing was stored. Send the whole body again.",
			Err:     errClient{cause},
		}
	}
	if ended != nil {
		return errClient{ended}
	}
	if isTimeout(err) {
		return &Error{
			Status:  http.StatusGatewayTimeout,
			Code:    "GatewayTimeout",
			Message: "COS did not answer in time. Check the network to the COS endpoint, then retry.",
			Err:     err,
		}
	}
	return &Error{
		Status:  http.StatusBadGateway,
		Code:    "BadGateway",
		Message: "The connection to COS failed. Check the endpoint, the region and the network; cosproxy's log has the cause.",
		Err:     err,
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// isOwnAnswer reports whether err did not come from the connection.
func isOwnAnswer(err error) bool {
	var answer *Error
	return errors.As(err, &answer)
}

// cutOff is the answer to a request that stalled, or that the server ended with
// a cause of its own.
func (x *exchange) cutOff(cause error) error {
	switch {
	case errors.Is(cause, errClientStalled):
		return &Error{
			Status:  http.StatusBadRequest,
			Code:    "RequestTimeout",
			Message: "Too little of the request body arrived for too long; nothing was stored. Send the whole body again.",
			Err:     errClient{cause},
		}
	case errors.Is(cause, errUpstreamClosed):
		return &Error{
			Status:  http.StatusBadGateway,
			Code:    "BadGateway",
			Message: "COS closed the connection in the middle of the request body; nothing was stored. Send the whole body again.",
			Err:     cause,
		}
	case errors.Is(cause, errStalled):
		return &Error{
			Status:  http.StatusGatewayTimeout,
			Code:    "GatewayTimeout",
			Message: "COS took no byte of the request body for too long; nothing was stored. Send it again.",
			Err:     cause,
		}
	default:
		return &Error{
			Status:     http.StatusServiceUnavailable,
			Code:       "ServiceUnavailable",
			Message:    "The request was cut off before it could be finished. Send it again.",
			RetryAfter: time.Second,
			Err:        cause,
		}
	}
}

// errorDocument is the error form of the COS error code document.
type errorDocument struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	Resource  string   `xml:"Resource"`
	RequestID string   `xml:"RequestId"`
}

// document is an errorDocument. Package xml would escape more than xmlText does.
func (e *Error) document(resource, requestID string) []byte {
	return fmt.Appendf(nil, "<?xml version='1.0' encoding='utf-8' ?>\n"+
		"<Error><Code>%s</Code><Message>%s</Message><Resource>%s</Resource><RequestId>%s</RequestId></Error>\n",
		xmlText(e.Code), xmlText(e.Message), xmlText(resource), xmlText(requestID))
}

// shown is as much of a client's text as logs and answers repeat. No key of COS is
// longer (850 bytes, escaped).
func shown(text string) string {
	const most = 3 * 850
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// newRequestID names an answer of the proxy's own, where COS gave no id.
func newRequestID() string { return "cosproxy-" + rand.Text() }

func (e *Error) write(w http.ResponseWriter, r *http.Request, requestID string) {
	header := w.Header()
	header["x-cos-request-id"] = []string{requestID}
	header.Set("Server", "cosproxy")
	header.Set("Content-Type", "application/xml")
	if e.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	switch e.Status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", allowedMethods)
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="cosproxy"`)
	case http.StatusProxyAuthRequired:
		header.Set("Proxy-Authenticate", `Basic realm="cosproxy"`)
	}
	body := e.document(shown(hostOf(r.Host)+r.URL.EscapedPath()), requestID)
	if r.Method == http.MethodHead {
		body = nil
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body)
}
