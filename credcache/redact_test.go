package credcache

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const secret = "abcdefghijklmnopqrstuvwxyz"
	for _, tt := range []struct{ text, secret, want string }{
		{"nothing to hide", secret, "nothing to hide"},
		{"a  b\nc", "", "a  b\nc"}, // no secret: unchanged
		{"key " + secret + " is bad", secret, "key [redacted] is bad"},
		{"key=" + secret, secret, "[redacted]"},
		{"12 bytes abcdefghijkl", secret, "12 bytes [redacted]"},
		{"11 bytes abcdefghijk", secret, "11 bytes abcdefghijk"},
		{"end opqrstuvwxyz...", secret, "end [redacted]"},
		{"%61bcdefghijkl", secret, "[redacted]"},
		{"a+b+c+d+e+f+g", "a+b+c+d+e+f+g", "[redacted]"},
		{"%zzabcdefghijkl", secret, "[redacted]"}, // an invalid escape
		{"pin 1234 wrong", "1234", "pin [redacted] wrong"},
		{"pin 123 wrong", "1234", "pin 123 wrong"},
	} {
		if got := redact(tt.text, tt.secret); got != tt.want {
			t.Errorf("redact(%q, %q) = %q, want %q", tt.text, tt.secret, got, tt.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"a\r\nb\tc\x00", "a  b c "},
		{strings.Repeat("长", 300), strings.Repeat("长", 300)},
		{strings.Repeat("长", 301), strings.Repeat("长", 300) + "…"},
	} {
		if got := oneLine(tt.text); got != tt.want {
			t.Errorf("oneLine(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}
