package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// isProxyError reports whether err already is an error response of the proxy.
func isProxyError(err error) bool {
	var proxyErr *coserr.Error
	return errors.As(err, &proxyErr)
}

// isTransientError reports whether a retry may help after err. It is false for timeouts,
// since the client has waited long enough, and for errors that the connection to COS did
// not cause.
func isTransientError(err error) bool {
	var client *clientError
	return !isTimeout(err) && !isProxyError(err) && !errors.As(err, &client)
}

func isTimeout(err error) bool {
	if errors.Is(err, http1.ErrNoResponse) || errors.Is(err, http1.ErrStalled) {
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// credentialError maps a failed fetch of credentials to 503. Retry-After is that of err if
// it has a RetryAfter method, and at least one second.
func credentialError(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	response := &coserr.Error{
		Status:     http.StatusServiceUnavailable,
		Code:       "ServiceUnavailable",
		Message:    "cosproxy has no valid credentials for COS at the moment. See its log or admin page for the cause, then send the request again.",
		RetryAfter: time.Second,
		Err:        err,
	}
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		response.RetryAfter = max(later.RetryAfter(), time.Second)
	}
	return response
}

// failure maps an error to the error response for the client: 400 if the client's body
// ended early, 504 for a timeout, else 502. It returns proxy errors, and errors after
// which the client gets no response because it has left, unchanged.
func failure(err error) error {
	var client *clientError
	switch {
	case isProxyError(err), errors.Is(err, http1.ErrClientGone), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, http1.ErrServerClosed):
		return &coserr.Error{
			Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", RetryAfter: time.Second, Err: err,
			Message: "cosproxy shut down and canceled the request. Send it again.",
		}
	case errors.Is(err, http1.ErrOriginClosed):
		return &coserr.Error{
			Status: http.StatusBadGateway, Code: "BadGateway", Err: err,
			Message: "COS closed the connection within the request body; nothing was stored. Send the complete body again.",
		}
	case errors.As(err, &client):
		return incompleteBody(client)
	case errors.Is(err, http1.ErrStalled):
		return &coserr.Error{
			Status: http.StatusGatewayTimeout, Code: "GatewayTimeout", Err: err,
			Message: "COS stopped reading the request body; nothing was stored. Send the complete body again.",
		}
	case isTimeout(err):
		return &coserr.Error{
			Status: http.StatusGatewayTimeout, Code: "GatewayTimeout", Err: err,
			Message: "COS did not respond in time. Check the network to the COS endpoint, then send the request again.",
		}
	}
	return &coserr.Error{
		Status: http.StatusBadGateway, Code: "BadGateway", Err: err,
		Message: "The connection to COS failed. See cosproxy's log for the cause; check the endpoint, the region and the network.",
	}
}

// incompleteBody returns the error response to a body that could not be read to its end.
func incompleteBody(cause *clientError) error {
	var broken http1.Error
	switch {
	case errors.Is(cause, http1.ErrStalled):
		return &coserr.Error{
			Status: http.StatusBadRequest, Code: "RequestTimeout", Err: cause,
			Message: "The request body stalled; nothing was stored. Send the complete body again.",
		}
	case errors.As(cause, &broken):
		return coserr.New(http.StatusBadRequest, "InvalidRequest", "The request body is not valid HTTP: %s. Nothing was stored. Correct the body and send it again.", broken.Detail)
	}
	return &coserr.Error{
		Status: http.StatusBadRequest, Code: "IncompleteBody", Err: cause,
		Message: "The request body ended before its announced length; nothing was stored. Send the complete body again.",
	}
}
