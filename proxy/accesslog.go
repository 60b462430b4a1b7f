package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// statusClientGone is logged when the client left before an answer, as nginx
// does; it is never sent.
const statusClientGone = 499

// finish writes the access line and the metrics of one exchange.
func (p *Proxy) finish(x *exchange) {
	elapsed := time.Since(x.start)
	if x.status == 0 {
		x.status = statusClientGone
	}
	p.metrics.observe(x, elapsed)

	level := slog.LevelInfo
	if x.err != nil && !isClientFault(x.err) {
		level = slog.LevelError
	}
	ctx := context.Background()
	if !p.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("method", x.r.Method),
		slog.String("route", x.routeName()),
		slog.String("key", shown(x.target.op.key)),
		slog.String("action", x.target.op.action),
		slog.Int("status", x.status),
		slog.Int64("bytes_in", x.upload.count.Load()),
		slog.Int64("bytes_out", x.bytesOut),
		slog.Float64("duration_ms", float64(elapsed.Microseconds())/1000),
		slog.String("request_id", x.requestID),
	)
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
	}
	p.log.LogAttrs(ctx, level, "request", attrs...)
}

// isClientFault tells what the client did from what needs an operator.
func isClientFault(err error) bool {
	var gone errClient
	var answer *Error
	return errors.As(err, &gone) || errors.Is(err, context.Canceled) || errors.As(err, &answer) && answer.Status < http.StatusInternalServerError
}

// routeName is the route's name, empty if the request did not get as far.
func (x *exchange) routeName() string {
	if x.target.route == nil {
		return ""
	}
	return x.target.route.Name
}
