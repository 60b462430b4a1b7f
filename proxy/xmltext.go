package proxy

import (
	"strings"
	"unicode/utf8"
)

// xmlText returns text as content of an XML element. Only &, < and > are escaped:
// an official SDK cuts a message at any other reference, such as &#39;. What XML
// 1.0 cannot carry (section 2.2) becomes U+FFFD.
func xmlText(text string) string {
	var b strings.Builder
	for _, c := range text { // invalid UTF-8 is U+FFFD here
		switch {
		case c == '&':
			b.WriteString("&amp;")
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c == '\uFFFE', c == '\uFFFF':
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
