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

// Parse parses an error document. ok is false if body is not one.
func Parse(body []byte) (d Document, ok bool) {
	return d, xml.Unmarshal(body, &d) == nil
}

// Bytes returns the document in COS's form. It does not use package xml, which escapes
// more characters than official SDKs can read.
func (d Document) Bytes() []byte {
	return fmt.Appendf(nil, "<?xml version='1.0' encoding='utf-8' ?>\n"+
		"<Error><Code>%s</Code><Message>%s</Message><Resource>%s</Resource><RequestId>%s</RequestId></Error>\n",
		escape(d.Code), escape(d.Message), escape(d.Resource), escape(d.RequestID))
}

// NewRequestID returns a request ID for a response of the proxy.
func NewRequestID() string { return "cosproxy-" + rand.Text() }

// escape returns text as the content of an XML element. It escapes only &, < and >: an
// official SDK truncates a message at any other reference, such as &#39;. It replaces
// characters that XML 1.0 does not allow (section 2.2) with U+FFFD.
func escape(text string) string {
	var b strings.Builder
	for _, c := range text { // range returns U+FFFD for invalid UTF-8
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

// maxText is the maximum length of an object key in COS (850 bytes), percent-encoded.
const maxText = 3 * 850

// Truncate shortens a client's text for logs and responses, to 2550 bytes and an ellipsis.
func Truncate(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:maxText] + "…"
}

// Host returns a Host for messages: without the part before an @, which may be a password.
func Host(host string) string { return host[strings.LastIndexByte(host, '@')+1:] }
