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

// Explanation is a signature with the strings on the way to it, each exactly as
// Sign computes it. SignKey is not among them: whoever holds it can sign until
// the end of KeyTime.
//
// Printing an Explanation, through fmt or slog, shows String. The fields
// themselves are not masked.
type Explanation struct {
	// SecretID is the q-ak of the signature.
	SecretID string
	// KeyTime is q-sign-time and q-key-time: start;end in Unix seconds.
	KeyTime string
	// HTTPString holds the session token, if there is one.
	HTTPString string
	// StringToSign is what SignKey signs.
	StringToSign string
	// HeaderList is q-header-list: names joined by ";".
	HeaderList string
	// ParamList is q-url-param-list: names joined by ";".
	ParamList string
	// Signature is q-signature: 40 hex digits.
	Signature string
	// Authorization is the header as Sign sets it.
	Authorization string
	// Unsigned are the headers of the request that the signature leaves out,
	// sorted by name; without those that Sign replaces.
	Unsigned []UnsignedHeader
}

// UnsignedHeader is a header that is not signed.
type UnsignedHeader struct {
	// Name is the header's name as it stands in the request.
	Name string
	// Reason says in words why it is not signed.
	Reason string
}

// Explain is Sign with nothing set: it runs the same code on the same request
// and keeps what Sign forgets. It returns Sign's errors, leaves req as it is and
// does not read from Body.
func Explain(req *http.Request, creds Credentials, now time.Time) (Explanation, error) {
	if err := check(creds, now); err != nil {
		return Explanation{}, err
	}
	return explain(req, creds, windowAt(now, creds.Expires))
}

func explain(req *http.Request, creds Credentials, w window) (Explanation, error) {
	own := *req
	own.Header = maps.Clone(req.Header) // read deletes credentials from it
	var c canonical
	path, err := c.read(&own, creds.Token)
	if err != nil {
		return Explanation{}, err
	}
	key := newSignKey(signKeyID{creds.SecretID, creds.SecretKey, w})
	c.text = c.appendHTTPString(nil, own.Method, path)
	e := Explanation{
		SecretID:   creds.SecretID,
		KeyTime:    key.keyTime,
		HTTPString: string(c.text),
		HeaderList: string(c.appendList(nil, c.headers)),
		ParamList:  string(c.appendList(nil, c.params)),
		Unsigned:   unsignedHeaders(own.Header),
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

// unsignedReason is empty for a header that is signed.
func unsignedReason(name string) string {
	lowered := appendKey(nil, name)
	switch kindOf(lowered) {
	case signed:
		return ""
	case ownedByNetHTTP:
		return "not taken from here: it is sent as the request's Host, ContentLength and TransferEncoding say"
	}
	switch string(lowered) {
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade":
		return "hop-by-hop: it ends at the next connection"
	case "expect":
		return "the hops on the way decide on it"
	case "date":
		return "COS takes the time from KeyTime"
	case "via":
		return "hops on the way add themselves to it"
	case "user-agent", "accept-encoding":
		return "hops on the way may rewrite it"
	}
	return "COS does not ask for its signature, and hops on the way may change it"
}

// String describes the signature on several lines, for people. Values that
// Redact masks and SignKey are not shown.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "KeyTime:           %s\n", e.KeyTime)
	fmt.Fprintf(&b, "Signed headers:    %s\n", e.HeaderList)
	fmt.Fprintf(&b, "Signed parameters: %s\n", cmp.Or(e.ParamList, "none"))
	for _, u := range e.Unsigned {
		fmt.Fprintf(&b, "Not signed:        %s: %s\n", Redact(u.Name), u.Reason)
	}
	b.WriteString("\nHttpString, every line with one LF at its end:\n")
	hidden := false
	lines, _ := HTTPLines(e.HTTPString)
	for _, line := range lines {
		shown := Redact(line)
		hidden = hidden || shown != line
		b.WriteString("  | " + shown + "\n")
	}
	if hidden {
		b.WriteString("What is masked or quoted above was hashed as it really is, so this text cannot be hashed by hand.\n")
	}
	b.WriteString("\nStringToSign, likewise:\n")
	for line := range strings.Lines(e.StringToSign) {
		b.WriteString("  | " + line)
	}
	b.WriteString("\nSignKey:           HMAC-SHA1(SecretKey, KeyTime); not shown, since it signs until KeyTime ends\n")
	fmt.Fprintf(&b, "Signature:         %s\n", e.Signature)
	b.WriteString("\nAuthorization, in one line:\n  " + strings.ReplaceAll(e.Authorization, "&", "\n  &") + "\n")
	return b.String()
}

// Format makes every fmt verb print String.
func (e Explanation) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// LogValue makes slog show String.
func (e Explanation) LogValue() slog.Value { return slog.StringValue(e.String()) }
