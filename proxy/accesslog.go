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

// statusClientGone is logged when the client left before a response, as nginx
// does; it is never sent.
const statusClientGone = 499

// reporter logs and counts results.
type reporter struct {
	log         *slog.Logger
	metrics     *metrics
	settingName func(Setting) string
}

// report writes the access line and the metrics of one request. Fields are named as in
// the semantic conventions of OpenTelemetry where these have a name; the others begin
// with cos (what COS knows by that name) or cosproxy.
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
	if res.route == "" { // it got no further
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

// errorType is the error code of a proxy error, or a word for the kind of err.
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
	return "_OTHER" // as the semantic conventions call a type without a name
}

// describe is the text of an error, with the names that the operator knows.
func describe(err error, settingName func(Setting) string) string {
	var proxyErr *coserr.Error
	if errors.As(err, &proxyErr) {
		return proxyErr.Describe(settingName)
	}
	return err.Error()
}

// cause is why the exchange ended, if it did, since then err is only how that
// showed.
func cause(x *http1.Exchange, err error) error {
	if ended := context.Cause(x.Context()); ended != nil {
		return ended
	}
	return err
}

// isClientFault tells what the client did from what needs an operator.
func isClientFault(err error) bool {
	if errors.Is(err, http1.ErrServerClosed) {
		return false
	}
	var client *clientError
	var proxyErr *coserr.Error
	return errors.As(err, &client) || errors.Is(err, http1.ErrClientGone) || errors.Is(err, context.Canceled) ||
		errors.As(err, &proxyErr) && proxyErr.Status < http.StatusInternalServerError
}
