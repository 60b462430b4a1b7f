package main

import (
	"bytes"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

const (
	// maxLibraryText bounds what is logged of one message, in bytes.
	maxLibraryText = 200
	// maxPanicFrames bounds the calls that are named where a handler panicked.
	maxPanicFrames = 8
)

// libraryMessages are the beginnings of net/http's messages that occur here.
// What follows one is data unless detail is set; quoted text is data always.
var libraryMessages = []struct {
	beginning string
	detail    bool
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

// newLibraryLog returns a writer for package log and for http.Server.ErrorLog. It
// makes one line of l of each message, of bounded length. net/http quotes in some
// messages what a peer has sent, which may be bytes of an object or a secret, so
// only text that is known to be harmless is logged. Each Write has to be one
// message, as package log writes it.
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
		rest, ok := strings.CutPrefix(text, m.beginning)
		switch {
		case !ok:
			continue
		case m.detail:
			l.Warn(m.beginning + harmless(rest))
		default:
			l.Warn(m.beginning, "cosproxy.message_size", len(text))
		}
		return len(p), nil
	}
	l.Warn("a library logged a message that is not shown, since it may quote data", "cosproxy.message_size", len(text))
	return len(p), nil
}

// logPanic logs a panic of a handler: the client's address, the panic's value if
// it comes from the runtime, and where it happened.
func (l libraryLog) logPanic(text string) {
	address, value, _ := strings.Cut(text, ": ")
	shown := "omitted because it may contain request data"
	for _, known := range []string{"runtime error: ", "interface conversion: ", "assignment to entry in nil map"} {
		if strings.HasPrefix(value, known) {
			shown = harmless(value)
		}
	}
	l.Error("handler panicked; please report this line as a bug",
		"client.address", harmless(address), "exception.message", shown, "exception.stacktrace", panicFrames(text))
}

// harmless is the first line of text, up to anything quoted.
func harmless(text string) string {
	if end := strings.IndexAny(text, "\n\"`"); end >= 0 {
		text = text[:end]
	}
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), maxLibraryText)], ""))
}

// frame is the line of a stack trace that says where in a file a call is.
var frame = regexp.MustCompile(`(?m)^\t\S*?([\w.-]+\.go:\d+)`)

// panicFrames lists file and line of the innermost calls of a stack trace as
// runtime.Stack writes it, behind the panic's value.
func panicFrames(text string) string {
	stack := text[max(0, strings.LastIndex(text, "\ngoroutine ")):]
	if _, below, ok := strings.Cut(stack, "\npanic("); ok {
		_, stack, _ = strings.Cut(below, ".go:") // that of panic itself
	}
	var calls []string
	for _, match := range frame.FindAllStringSubmatch(stack, maxPanicFrames) {
		calls = append(calls, match[1])
	}
	return strings.Join(calls, " ")
}
