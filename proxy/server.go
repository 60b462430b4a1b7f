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
	// HeaderTimeout is how long a client may take for a head, counted from its first
	// byte, and for a TLS handshake. Zero means 10 seconds.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept for another request. Zero means
	// 2 minutes.
	IdleTimeout time.Duration
	// MaxConns is the number of connections at which the longest idle one is closed
	// for a new one. Zero means no limit.
	MaxConns int
}

// NewServer returns the server of p, which listens to nothing yet. It has no limit on
// the time of a whole request, since objects are large.
func (p *Proxy) NewServer(o ServerOptions) *http1.Server {
	return http1.NewServer(http1.ServerOptions{
		Handler: p.Handle,
		Refuse:  p.refuse,
		Panicked: func(value any, stack []byte) {
			p.reporter.log.Error("a handler panicked; please report this line", "exception.message", panicText(value), "exception.stacktrace", panicFrames(stack))
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

// refuse responds to a request that breaks a rule of HTTP.
func (p *Proxy) refuse(x *http1.Exchange, broken http1.Error) {
	e := p.protocolError(broken)
	id := coserr.NewRequestID()
	p.metrics.requests.WithLabelValues("", "unknown", statusLabel(e.Status)).Inc()
	p.reporter.log.LogAttrs(x.Context(), slog.LevelInfo, "request", slog.Int("http.response.status_code", e.Status),
		slog.String("cos.request_id", id), slog.String("error.type", e.Code), slog.String("error.message", describe(e, p.settingName)))
	sendError(x, &request{head: &x.Request}, e, id, p.guard, p.settingName)
}

// protocolError explains a broken rule.
func (p *Proxy) protocolError(broken http1.Error) *coserr.Error {
	switch broken.Rule {
	case http1.RuleHeadTooLarge:
		return coserr.New(http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge",
			"The request line and headers are larger than %d bytes together, or there are more than %d header fields.", p.limits.HeaderBytes, p.limits.headerFields()).
			Try("Send fewer or shorter headers, or raise", Setting{Name: "Limits.HeaderBytes"})
	case http1.RuleLineTooLong:
		return coserr.New(http.StatusRequestURITooLong, "RequestURITooLong",
			"The request line is longer than %d bytes.", p.limits.HeaderBytes).
			Try("Send a shorter one, or raise", Setting{Name: "Limits.HeaderBytes"})
	case http1.RuleCoding:
		return coserr.New(http.StatusNotImplemented, "NotImplemented", "The only Transfer-Encoding that cosproxy takes is chunked.")
	case http1.RuleExpect:
		return coserr.New(http.StatusExpectationFailed, "ExpectationFailed",
			"The only expectation that can be met is 100-continue. Send the request without this Expect.")
	case http1.RuleTwoLengths:
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The request has both Content-Length and Transfer-Encoding. Send one of them.")
	case http1.RulePlain:
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"This address speaks TLS, and the request is plain HTTP. Write https:// instead of http://.")
	case http1.RuleVersion:
		return coserr.New(http.StatusHTTPVersionNotSupported, "HTTPVersionNotSupported", "The version is neither HTTP/1.1 nor HTTP/1.0.")
	case http1.RuleTimeout:
		return coserr.New(http.StatusRequestTimeout, "RequestTimeout", "The head of the request did not arrive in time. Send it again.")
	}
	return coserr.New(broken.Status(), "InvalidRequest", "The request is not valid HTTP: %s. Percent-encode the object key (a literal %% is %%25, a blank %%20) and check the headers.", broken.Detail)
}

// panicText is the value of a panic if it comes from the runtime; others may quote
// data.
func panicText(value any) string {
	if err, ok := value.(interface {
		error
		RuntimeError()
	}); ok {
		return err.Error()
	}
	return "not shown, since it may quote data"
}

// maxPanicFrames bounds the calls that are named where a handler panicked.
const maxPanicFrames = 8

// panicFrames lists file and line of the innermost calls of a stack trace as
// runtime/debug.Stack writes it.
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
