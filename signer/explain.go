package signer

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Explanation is a signature with its intermediate strings, exactly as Sign computes them. It
// does not hold SignKey, which can sign other requests until KeyTime ends.
//
// Printing an Explanation, through fmt or slog, prints String. The fields themselves are not
// masked.
type Explanation struct {
	// SecretID is the q-ak of the signature.
	SecretID string
	// KeyTime is q-sign-time and q-key-time: start;end in Unix seconds.
	KeyTime string
	// HTTPString is HttpString. It holds the session token, if there is one.
	HTTPString string
	// StringToSign is the text that SignKey signs.
	StringToSign string
	// HeaderList is q-header-list: names joined by ";".
	HeaderList string
	// ParamList is q-url-param-list: names joined by ";".
	ParamList string
	// Signature is q-signature: 40 hex digits.
	Signature string
	// Authorization is the header as Sign sets it.
	Authorization string
	// Unsigned are the headers that the signature does not cover, sorted by name, without the
	// headers that Sign replaces.
	Unsigned []UnsignedHeader
}

// UnsignedHeader is a header that is not signed.
type UnsignedHeader struct {
	// Name is the name of the header, as spelled in the request.
	Name string
	// Reason says why it is not signed.
	Reason string
}

// Explain runs the code of Sign and returns the intermediate strings. It returns the errors of
// Sign, does not change req and does not read Body.
func Explain(req *http.Request, creds Credentials, now time.Time) (Explanation, error) {
	if err := check(creds, now); err != nil {
		return Explanation{}, err
	}
	return explain(req, creds, windowAt(now, creds.Expires))
}

func explain(req *http.Request, creds Credentials, w window) (Explanation, error) {
	clone := *req
	clone.Header = maps.Clone(req.Header) // read deletes credentials from it
	var c canonical
	path, err := c.read(&clone, creds.Token)
	if err != nil {
		return Explanation{}, err
	}
	key := newSignKey(signKeyID{creds.SecretID, creds.SecretKey, w})
	c.text = c.appendHTTPString(nil, clone.Method, path)
	e := Explanation{
		SecretID:   creds.SecretID,
		KeyTime:    key.keyTime,
		HTTPString: string(c.text),
		HeaderList: string(c.appendList(nil, c.headers)),
		ParamList:  string(c.appendList(nil, c.params)),
		Unsigned:   unsignedHeaders(clone.Header),
	}
	e.Authorization = string(c.appendAuthorization(nil, key))
	e.StringToSign = string(c.text)
	e.Signature = e.Authorization[strings.LastIndexByte(e.Authorization, '=')+1:]
	return e, nil
}

func unsignedHeaders(h http.Header) []UnsignedHeader {
	var all []UnsignedHeader
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if reason := unsignedReason(name); reason != "" && len(h[name]) > 0 {
			all = append(all, UnsignedHeader{name, reason})
		}
	}
	return all
}

// unsignedReason returns "" for a signed header.
func unsignedReason(name string) string {
	lowered := appendKey(nil, name)
	switch kindOf(lowered) {
	case signed:
		return ""
	case ownedByNetHTTP:
		return "ignored: the request's Host, ContentLength and TransferEncoding determine the sent value"
	}
	switch string(lowered) {
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade":
		return "hop-by-hop: it applies to one connection only"
	case "expect":
		return "intermediaries decide on it"
	case "date":
		return "COS takes the time from KeyTime"
	case "via":
		return "intermediaries append to it"
	case "user-agent", "accept-encoding":
		return "intermediaries may rewrite it"
	}
	return "COS does not require its signature, and intermediaries may change it"
}

// String returns a readable description of several lines. It does not show SignKey or values
// that Redact masks.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "KeyTime:           %s\n", e.KeyTime)
	fmt.Fprintf(&b, "Signed headers:    %s\n", e.HeaderList)
	fmt.Fprintf(&b, "Signed parameters: %s\n", cmp.Or(e.ParamList, "none"))
	for _, u := range e.Unsigned {
		fmt.Fprintf(&b, "Not signed:        %s: %s\n", Redact(u.Name), u.Reason)
	}
	b.WriteString("\nHttpString, each line ends with one LF:\n")
	masked := false
	lines, _ := HTTPLines(e.HTTPString)
	for _, line := range lines {
		shown := Redact(line)
		masked = masked || shown != line
		b.WriteString("  | " + shown + "\n")
	}
	if masked {
		b.WriteString("The signature uses the real values of masked and quoted text, so do not hash this text by hand.\n")
	}
	b.WriteString("\nStringToSign, each line ends with one LF:\n")
	for line := range strings.Lines(e.StringToSign) {
		b.WriteString("  | " + line)
	}
	b.WriteString("\nSignKey:           HMAC-SHA1(SecretKey, KeyTime); not shown, because it can sign until KeyTime ends\n")
	fmt.Fprintf(&b, "Signature:         %s\n", e.Signature)
	b.WriteString("\nAuthorization, in one line:\n  " + strings.ReplaceAll(e.Authorization, "&", "\n  &") + "\n")
	return b.String()
}

// Format makes every fmt verb print String.
func (e Explanation) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// LogValue makes slog show String.
func (e Explanation) LogValue() slog.Value { return slog.StringValue(e.String()) }
