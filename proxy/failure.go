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

// isProxyError reports whether err is a response of the proxy's own already.
func isProxyError(err error) bool {
	var response *coserr.Error
	return errors.As(err, &response)
}

// isTransientError reports whether sending again may help: not after a timeout, which
// has cost the client enough time, and not where the error is not the connection's.
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

// credentialError turns a failed fetch of credentials into 503. A cause that offers
// RetryAfter says when a new attempt makes sense.
func credentialError(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	response := &coserr.Error{
		Status:     http.StatusServiceUnavailable,
		Code:       "ServiceUnavailable",
		Message:    "cosproxy has no valid credentials for COS at the moment; its log and its admin page say why. Retry later.",
		RetryAfter: time.Second,
		Err:        err,
	}
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		response.RetryAfter = max(later.RetryAfter(), time.Second)
	}
	return response
}

// failure turns an error into the response for the client: 400 when the client's own
// body broke off, 504 for a timeout, else 502. A client that has left gets none: the
// error comes back as it is.
func failure(err error) error {
	var client *clientError
	switch {
	case isProxyError(err), errors.Is(err, http1.ErrClientGone), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, http1.ErrServerClosed):
		return &coserr.Error{
			Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", RetryAfter: time.Second, Err: err,
			Message: "The request was canceled before it could be finished. Send it again.",
		}
	case errors.Is(err, http1.ErrOriginClosed):
		return &coserr.Error{
			Status: http.StatusBadGateway, Code: "BadGateway", Err: err,
			Message: "COS closed the connection in the middle of the request body; nothing was stored. Send the whole body again.",
		}
	case errors.As(err, &client):
		return incompleteBody(client)
	case errors.Is(err, http1.ErrStalled):
		return &coserr.Error{
			Status: http.StatusGatewayTimeout, Code: "GatewayTimeout", Err: err,
			Message: "COS took no byte of the request body for too long; nothing was stored. Send it again.",
		}
	case isTimeout(err):
		return &coserr.Error{
			Status: http.StatusGatewayTimeout, Code: "GatewayTimeout", Err: err,
			Message: "COS did not respond in time. Check the network to the COS endpoint, then retry.",
		}
	}
	return &coserr.Error{
		Status: http.StatusBadGateway, Code: "BadGateway", Err: err,
		Message: "The connection to COS failed. Check the endpoint, the region and the network; cosproxy's log has the cause.",
	}
}

// incompleteBody is the response to a body that was not read to its end.
func incompleteBody(cause *clientError) error {
	var broken http1.Error
	switch {
	case errors.Is(cause, http1.ErrStalled):
		return &coserr.Error{
			Status: http.StatusBadRequest, Code: "RequestTimeout", Err: cause,
			Message: "Too little of the request body arrived for too long; nothing was stored. Send the whole body again.",
		}
	case errors.As(cause, &broken):
		return coserr.New(http.StatusBadRequest, "InvalidRequest", "The request body is not valid HTTP: %s. Nothing was stored.", broken.Detail)
	}
	return &coserr.Error{
		Status: http.StatusBadRequest, Code: "IncompleteBody", Err: cause,
		Message: "The request body ended before the announced length; nothing was stored. Send the whole body again.",
	}
}
