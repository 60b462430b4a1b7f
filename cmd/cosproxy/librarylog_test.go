package main

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"
)

// untimed is a text log without the time.
func untimed(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestLibraryLog_Messages(t *testing.T) {
	const secret = "TOPSECRET"
	long := strings.Repeat(secret, 500)
	for _, tt := range []struct{ name, message, want string }{
		{
			"unsolicited response", `Unsolicited response received on idle HTTP channel starting with "` + long + `"; err=<nil>`,
			`level=WARN msg="Unsolicited response received on idle HTTP channel" cosproxy.message_size=4578`,
		},
		{
			"unsolicited response in lines", "Unsolicited response received on idle HTTP channel starting with\n" + long,
			`level=WARN msg="Unsolicited response received on idle HTTP channel" cosproxy.message_size=4565`,
		},
		{
			"handshake", "http: TLS handshake error from 127.0.0.1:9: remote error: tls: bad certificate\n",
			`level=WARN msg="http: TLS handshake error from 127.0.0.1:9: remote error: tls: bad certificate"`,
		},
		{
			"handshake that quotes", `http: TLS handshake error from [::1]:9: tls: client requested ["` + long + `"]`,
			`level=WARN msg="http: TLS handshake error from [::1]:9: tls: client requested ["`,
		},
		{
			"handshake in lines", "http: TLS handshake error from [::1]:9: EOF\n" + long,
			`level=WARN msg="http: TLS handshake error from [::1]:9: EOF"`,
		},
		{
			"handshake without end", "http: TLS handshake error from " + strings.Repeat("x", 10_000),
			`level=WARN msg="http: TLS handshake error from ` + strings.Repeat("x", 200) + `"`,
		},
		{
			"header", `http: invalid Content-Length of "` + secret + `"`,
			`level=WARN msg="http: invalid Content-Length of" cosproxy.message_size=43`,
		},
		{
			"unknown", "http2: header " + secret + ": " + secret,
			`level=WARN msg="a library logged a message that is not shown, since it may quote data" cosproxy.message_size=34`,
		},
		{
			"panic of the runtime",
			"http: panic serving 127.0.0.1:9: runtime error: index out of range [5] with length 3\ngoroutine 7 [running]:\n" +
				"net/http.(*conn).serve.func1()\n\t/go/src/net/http/server.go:1943 +0xd3\npanic({0x7, 0xc})\n\t/go/src/runtime/panic.go:783 +0x132\n" +
				"cosproxy/proxy.(*Proxy).serve(0x5)\n\t/src/cosproxy/proxy/proxy.go:17 +0x1d\ncreated by x\n\t/src/cosproxy/proxy/server.go:9 +0x1d\n",
			`level=ERROR msg="handler panicked; please report this line as a bug" client.address=127.0.0.1:9 ` +
				`exception.message="runtime error: index out of range [5] with length 3" exception.stacktrace="proxy.go:17 server.go:9"`,
		},
		{
			"panic with data",
			"http: panic serving 127.0.0.1:9: bad header " + secret + "\n\t/" + secret + ".go:1\ngoroutine 7 [running]:\n" +
				"panic({0x7, 0xc})\n\t/go/src/runtime/panic.go:783 +0x132\n" + strings.Repeat("f()\n\t/src/a.go:1 +0x1\n", 1000),
			`level=ERROR msg="handler panicked; please report this line as a bug" client.address=127.0.0.1:9 ` +
				`exception.message="omitted because it may contain request data" exception.stacktrace="a.go:1 a.go:1 a.go:1 a.go:1 a.go:1 a.go:1 a.go:1 a.go:1"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got bytes.Buffer
			log.New(newLibraryLog(untimed(&got)), "", 0).Print(tt.message)
			if got.String() != tt.want+"\n" {
				t.Errorf("got  %swant %s", got.String(), tt.want)
			}
			if strings.Contains(got.String(), secret) {
				t.Error("data is in the log")
			}
		})
	}
}

// FuzzLibraryLog: whatever a library prints, it is one line of bounded length.
func FuzzLibraryLog(f *testing.F) {
	f.Add("http: panic serving 127.0.0.1:9: runtime error: x\ngoroutine 7 [running]:\npanic(\n\t/a.go:1")
	f.Add("http: TLS handshake error from x: \xff\n\"")
	f.Add("Unsolicited response received on idle HTTP channel starting with \"\r\n")
	f.Fuzz(func(t *testing.T, message string) {
		var got bytes.Buffer
		log.New(newLibraryLog(untimed(&got)), "", 0).Print(message)
		if n := strings.Count(got.String(), "\n"); n != 1 || got.Len() > 4096 {
			t.Errorf("%d lines of %d bytes for %q", n, got.Len(), message)
		}
	})
}
