package main

import (
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"testing"
)

const neverShown = "SECRET-NEVER-SHOWN"

func TestUnquoted_Errors(t *testing.T) {
	malformed := textproto.ProtocolError("malformed MIME header line: " + neverShown)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{io.ErrUnexpectedEOF, "unexpected EOF"},
		{errors.New("net/http: timeout awaiting response headers"), "net/http: timeout awaiting response headers"},
		{fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", malformed), "net/http: HTTP/1.x transport connection broken: malformed MIME header line"},
		{fmt.Errorf("broken: malformed HTTP response %q", neverShown), "broken: malformed HTTP response"},
		{&url.Error{Op: "Get", URL: "http://u:" + neverShown + "@h/", Err: io.EOF}, "EOF"},
		{&url.Error{Op: "Get", URL: neverShown, Err: malformed}, "malformed MIME header line"},
	} {
		got := unquoted(tt.err)
		if got.Error() != tt.want || !errors.Is(got, tt.err) {
			t.Errorf("%v became %v, want %s", tt.err, got, tt.want)
		}
	}
	if unquoted(nil) != nil {
		t.Error("nil became an error")
	}
}
