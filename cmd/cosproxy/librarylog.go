package main

import (
	"bytes"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

const (
	// maxLibraryText limits the length of a logged message, in bytes.
	maxLibraryText = 200
	// maxPanicFrames limits the number of stack frames that are logged for a panic.
	maxPanicFrames = 8
)

// libraryMessages lists the prefixes of the messages of net/http that can occur. The rest
// of a message may contain data and is only logged if detail is set, up to the first
// quotation.
var libraryMessages = []struct {
	prefix string
	detail bool
}{
	{"Unsolicited response received on idle HTTP channel", false},
	{"RoundTripper returned a response & error; ignoring response", false},
	{"http: invalid Content-Length of", false},
	{"http: WriteHeader called with both Transfer-Encoding", false},
	{"http: TLS handshake error from ", true},
	{"http: Accept error: ", true},
	{"http: superfluous response.WriteHeader call from ", true},
	{"http: response.WriteHeader on hijacked connection from ", true},
	{"http: response.Write on hijacked connection from ", true},
}

// newLibraryLog returns a writer for package log and for http.Server.ErrorLog. It logs
// each message as one line of limited length. Some messages of net/http quote data of a
// peer, which may be part of an object or a secret, so only known parts are logged. Each
// Write must be one message, as package log does it.
func newLibraryLog(l *slog.Logger) io.Writer { return libraryLog{l} }

type libraryLog struct{ *slog.Logger }

// Write implements io.Writer.
func (l libraryLog) Write(p []byte) (int, error) {
	text := string(bytes.TrimSpace(p))
	if rest, ok := strings.CutPrefix(text, "http: panic serving "); ok {
		l.logPanic(rest)
		return len(p), nil
	}
	for _, m := range libraryMessages {
		rest, ok := strings.CutPrefix(text, m.prefix)
		switch {
		case !ok:
			continue
		case m.detail:
			l.Warn(m.prefix + harmless(rest))
		default:
			l.Warn(m.prefix, "cosproxy.message_size", len(text))
		}
		return len(p), nil
	}
	l.Warn("a library logged a message (hidden, since it may contain data)", "cosproxy.message_size", len(text))
	return len(p), nil
}

// logPanic logs a panic of a handler: the address of the client, the value if it comes
// from the runtime, and the innermost stack frames.
func (l libraryLog) logPanic(text string) {
	address, value, _ := strings.Cut(text, ": ")
	message := "hidden, since it may contain data"
	for _, known := range []string{"runtime error: ", "interface conversion: ", "assignment to entry in nil map"} {
		if strings.HasPrefix(value, known) {
			message = harmless(value)
		}
	}
	l.Error("a handler panicked; please report this line",
		"client.address", harmless(address), "exception.message", message, "exception.stacktrace", panicFrames(text))
}

// harmless returns the first line of text up to the first quotation, at most
// maxLibraryText bytes.
func harmless(text string) string {
	if end := strings.IndexAny(text, "\n\"`"); end >= 0 {
		text = text[:end]
	}
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), maxLibraryText)], ""))
}

// frame matches file and line of a call in a stack trace.
var frame = regexp.MustCompile(`(?m)^\t\S*?([\w.-]+\.go:\d+)`)

// panicFrames returns file and line of the innermost calls of a stack trace in the format
// of runtime.Stack, which follows the value of the panic.
func panicFrames(text string) string {
	stack := text[max(0, strings.LastIndex(text, "\ngoroutine ")):]
	if _, below, ok := strings.Cut(stack, "\npanic("); ok {
		_, stack, _ = strings.Cut(below, ".go:") // skips the frame of panic
	}
	var calls []string
	for _, match := range frame.FindAllStringSubmatch(stack, maxPanicFrames) {
		calls = append(calls, match[1])
	}
	return strings.Join(calls, " ")
}
