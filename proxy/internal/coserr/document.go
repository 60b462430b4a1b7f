package coserr

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Document is an error document (COS document "Error codes").
type Document struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	Resource  string   `xml:"Resource"`
	RequestID string   `xml:"RequestId"`
}

// Parse reads an error document. ok is false if body is something else.
func Parse(body []byte) (d Document, ok bool) {
	return d, xml.Unmarshal(body, &d) == nil
}

// Bytes returns the document as COS writes it. Package xml would escape more than
// escape does.
func (d Document) Bytes() []byte {
	return fmt.Appendf(nil, "<?xml version='1.0' encoding='utf-8' ?>\n"+
		"<Error><Code>%s</Code><Message>%s</Message><Resource>%s</Resource><RequestId>%s</RequestId></Error>\n",
		escape(d.Code), escape(d.Message), escape(d.Resource), escape(d.RequestID))
}

// NewRequestID returns the name of a response that has none from COS.
func NewRequestID() string { return "cosproxy-" + rand.Text() }

// escape returns text as content of an XML element. Only &, < and > are escaped:
// an official SDK cuts a message at any other reference, such as &#39;. What XML
// 1.0 cannot carry (section 2.2) becomes U+FFFD.
func escape(text string) string {
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

// maxText is the longest key of COS (850 bytes), percent-encoded.
const maxText = 3 * 850

// Truncate returns as much of a client's text as logs and responses repeat.
func Truncate(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:maxText] + "…"
}

// Host is a Host as messages repeat it: without what precedes an @, which may be a
// password.
func Host(host string) string { return host[strings.LastIndexByte(host, '@')+1:] }
