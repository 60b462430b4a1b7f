package proxy

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// ServerOptions configure NewServer. Zero values mean the defaults.
type ServerOptions struct {
	// TLS makes the server speak TLS. Nil means plain HTTP.
	TLS *tls.Config
	// HeaderTimeout is the maximum time to receive a request header, counted from its
	// first byte, and to complete a TLS handshake. Zero means 10 seconds.
	HeaderTimeout time.Duration
	// IdleTimeout is how long an idle connection stays open. Zero means 2 minutes.
	IdleTimeout time.Duration
	// MaxConns is the number of connections at which the server closes the connection
	// that has been idle longest before it accepts another. Zero means no limit.
	MaxConns int
}

// NewServer returns a server for p. The caller calls its Serve method. It does not limit
// the total time of a request, because objects can be large.
func (p *Proxy) NewServer(o ServerOptions) *http1.Server {
	return http1.NewServer(http1.ServerOptions{
		Handler: p.handle,
		Reject:  p.reject,
		Panicked: func(value any, stack []byte) {
			p.reporter.log.Error("handler panicked; please report this line as a bug", "exception.message", panicText(value), "exception.stacktrace", panicFrames(stack))
		},
		HandshakeFailed: func(remote net.Addr, err error) {
			p.reporter.log.Warn("TLS handshake failed", "client.address", remote.String(), "error.message", err.Error())
		},
		Limits:        p.limits.head(),
		TLS:           o.TLS,
		HeaderTimeout: o.HeaderTimeout,
		IdleTimeout:   o.IdleTimeout,
		StallTimeout:  p.limits.StallTimeout,
		MaxConns:      o.MaxConns,
	})
}

// reject sends the error response to a request that violates HTTP.
func (p *Proxy) reject(x *http1.Exchange, broken http1.Error) {
	req, _ := parse(x) // for the dialect of the error
	p.router.setDialect(&req)
	e := p.protocolError(broken)
	id := coserr.NewRequestID()
	p.metrics.requests.WithLabelValues("", "unknown", statusLabel(e.Status)).Inc()
	p.reporter.log.LogAttrs(x.Context(), slog.LevelInfo, "request", slog.Int("http.response.status_code", e.Status),
		slog.String("cos.request_id", id), slog.String("error.type", e.Code), slog.String("error.message", describe(e, p.settingName)))
	sendError(x, &req, e, id, p.guard, p.settingName)
}

// protocolError returns the error for a violated rule of HTTP.
func (p *Proxy) protocolError(broken http1.Error) *coserr.Error {
	switch broken.Rule {
	case http1.RuleHeadTooLarge:
		return coserr.New(http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge",
			"The request line and header exceed %d bytes in total or %d header fields.", p.limits.HeaderBytes, p.limits.headerFields()).
			Try("Send fewer or shorter headers, or raise", Setting{Name: "Limits.HeaderBytes"})
	case http1.RuleLineTooLong:
		return coserr.New(http.StatusRequestURITooLong, "RequestURITooLong",
			"The request line is longer than %d bytes.", p.limits.HeaderBytes).
			Try("Shorten the URL, or raise", Setting{Name: "Limits.HeaderBytes"})
	case http1.RuleCoding:
		return coserr.New(http.StatusNotImplemented, "NotImplemented", "cosproxy supports no Transfer-Encoding except chunked. Send the body with Content-Length or in chunks.")
	case http1.RuleExpect:
		return coserr.New(http.StatusExpectationFailed, "ExpectationFailed",
			"cosproxy supports no Expect value except 100-continue. Send the request without this Expect header.")
	case http1.RuleTwoLengths:
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The request has both Content-Length and Transfer-Encoding. Send only one of them.")
	case http1.RulePlain:
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"This address requires TLS, but the request is plain HTTP. Use https:// instead of http://.")
	case http1.RuleVersion:
		return coserr.New(http.StatusHTTPVersionNotSupported, "HTTPVersionNotSupported", "cosproxy supports HTTP/1.1 and HTTP/1.0. Send the request with one of these versions.")
	case http1.RuleTimeout:
		return coserr.New(http.StatusRequestTimeout, "RequestTimeout", "The request header did not arrive in time. Send the request again.")
	}
	return coserr.New(broken.Status(), "InvalidRequest", "The request is not valid HTTP: %s. Percent-encode the object key (a literal %% is %%25, a blank %%20) and check the headers.", broken.Detail)
}

// panicText returns the text of a runtime panic. Other panic values may quote request
// data, so it omits them.
func panicText(value any) string {
	if err, ok := value.(interface {
		error
		RuntimeError()
	}); ok {
		return err.Error()
	}
	return "omitted because it may contain request data"
}

// maxPanicFrames is the maximum number of stack frames in the log of a panic.
const maxPanicFrames = 8

// panicFrames returns file and line of the innermost calls in a stack trace of
// runtime/debug.Stack.
func panicFrames(stack []byte) string {
	text := string(stack)
	if _, below, ok := strings.Cut(text, "\npanic("); ok {
		text = below
	}
	var calls []string
	for line := range strings.Lines(text) {
		file, isCall := strings.CutPrefix(line, "\t")
		if !isCall || len(calls) == maxPanicFrames {
			continue
		}
		file, _, _ = strings.Cut(strings.TrimSpace(file), " ")
		calls = append(calls, file[strings.LastIndexByte(file, '/')+1:])
	}
	return strings.Join(calls, " ")
}
