package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// statusClientGone is logged when the client closed the connection before a response,
// as in nginx. It is never sent.
const statusClientGone = 499

// reporter logs and counts results.
type reporter struct {
	log         *slog.Logger
	metrics     *metrics
	settingName func(Setting) string
}

// report writes the log record and the metrics of one request. Attributes have the names
// of the OpenTelemetry semantic conventions where these define one; the others begin with
// cos (terms of COS) or cosproxy.
func (r *reporter) report(x *http1.Exchange, req *request, res *result) {
	elapsed := time.Since(res.start)
	if res.status == 0 {
		res.status = statusClientGone
	}
	r.metrics.observe(res, elapsed, x.Body.Count(), res.bytesOut)

	level := slog.LevelInfo
	if res.err != nil && !isClientFault(res.err) {
		level = slog.LevelError
	}
	ctx := context.Background()
	if !r.log.Enabled(ctx, level) {
		return
	}
	if res.route == "" { // rejected before routing
		res.key = req.key()
	}
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs,
		slog.String("http.request.method", string(x.Request.Method)),
		slog.String("cosproxy.route", res.route),
		slog.String("cos.object_key", coserr.Truncate(res.key)),
		slog.String("cos.action", res.action),
		slog.Int("http.response.status_code", res.status),
		slog.Int64("http.request.body.size", x.Body.Count()),
		slog.Int64("http.response.body.size", res.bytesOut),
		slog.Float64("http.server.request.duration", elapsed.Round(time.Microsecond).Seconds()),
		slog.String("cos.request_id", res.requestID),
	)
	if res.err != nil {
		attrs = append(attrs, slog.String("error.type", errorType(res.err)), slog.String("error.message", describe(res.err, r.settingName)))
	}
	r.log.LogAttrs(ctx, level, "request", attrs...)
}

// errorType returns the code of a proxy error, or a word for any other error.
func errorType(err error) string {
	var proxyErr *coserr.Error
	switch {
	case errors.As(err, &proxyErr):
		return proxyErr.Code
	case isClientFault(err):
		return "client_gone"
	case isTimeout(err):
		return "timeout"
	}
	return "_OTHER" // the semantic conventions' value for an unknown type
}

// describe returns the text of an error, with settings as the operator knows them.
func describe(err error, settingName func(Setting) string) string {
	var proxyErr *coserr.Error
	if errors.As(err, &proxyErr) {
		return proxyErr.Describe(settingName)
	}
	return err.Error()
}

// cause returns why the exchange ended, or err if it has not: after its end, err is only
// a consequence.
func cause(x *http1.Exchange, err error) error {
	if ended := context.Cause(x.Context()); ended != nil {
		return ended
	}
	return err
}

// isClientFault reports whether the client caused the error, so that no operator has to
// act.
func isClientFault(err error) bool {
	if errors.Is(err, http1.ErrServerClosed) {
		return false
	}
	var client *clientError
	var proxyErr *coserr.Error
	return errors.As(err, &client) || errors.Is(err, http1.ErrClientGone) || errors.Is(err, context.Canceled) ||
		errors.As(err, &proxyErr) && (proxyErr.Status < http.StatusInternalServerError || proxyErr.Status == http.StatusNotImplemented)
}
