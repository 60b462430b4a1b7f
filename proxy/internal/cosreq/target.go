package cosreq

import (
	"net/http"
	"strings"

	"cosproxy/proxy/internal/coserr"
)

// Target is a request target (RFC 9112, 3.2). The zero value is not valid.
type Target struct {
	// Scheme and Host are the scheme of an absolute target in lower case, and its host
	// and port as received, without userinfo. They are empty for a path.
	Scheme, Host string
	// Path is percent-decoded once and never cleaned: //, . and %2F are part of object
	// keys. It begins with a slash.
	Path string
	// RawPath is the path that is sent to COS: the client's percent-encoding, plus the
	// bytes that EscapeRaw escapes. It decodes to Path.
	RawPath string
	// RawQuery is the text after the first "?", as received.
	RawQuery string
}

// ParseTarget parses a path, or an http or https URL with a host. It returns 400 InvalidURI
// for any other target and for an invalid percent-escape in the path. A target that begins
// with two slashes is a path. It copies target only if it decodes or escapes a byte.
func ParseTarget(target string) (Target, error) {
	var t Target
	rest := target
	if !strings.HasPrefix(rest, "/") {
		var err error
		if t.Scheme, t.Host, rest, err = cutOrigin(target); err != nil {
			return Target{}, err
		}
	}
	raw, query, _ := strings.Cut(rest, "?")
	if raw == "" { // http://host, as clients of an HTTP proxy may send it
		raw = "/"
	}
	t.RawQuery = query
	t.RawPath = EscapeRaw(raw)
	var ok bool
	if t.Path, ok = unescape(raw); !ok {
		return Target{}, coserr.New(http.StatusBadRequest, "InvalidURI",
			"The path has an invalid percent-escape. Percent-encode the object key (a literal %% is %%25, a blank %%20).")
	}
	return t, nil
}

// cutOrigin splits an absolute target into its scheme, its host, and the rest.
func cutOrigin(target string) (scheme, host, rest string, err error) {
	scheme, rest, found := strings.Cut(target, ":")
	if !found || strings.ContainsAny(scheme, "/?*") {
		return "", "", "", coserr.New(http.StatusBadRequest, "InvalidURI",
			"The request target is not a path. Send /<key>.")
	}
	scheme = strings.ToLower(scheme)
	authority, hierarchical := strings.CutPrefix(rest, "//")
	end := strings.IndexAny(authority, "/?")
	if end < 0 {
		end = len(authority)
	}
	authority, rest = authority[:end], authority[end:]
	host = authority[strings.LastIndexByte(authority, '@')+1:]
	if !hierarchical || scheme != "http" && scheme != "https" || !isHost(host) {
		return "", "", "", coserr.New(http.StatusBadRequest, "InvalidURI",
			"The request target is not an http URL with a host. Send /<key>, or http://<host>/<key> as to an HTTP proxy.")
	}
	return scheme, host, rest, nil
}

// isHost reports whether host is a name or an IP literal with an optional port (RFC 3986,
// 3.2.2), without escapes.
func isHost(host string) bool {
	name, port, _ := strings.Cut(host, ":")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		name, port, ok = strings.Cut(inner, "]")
		if !ok || port != "" && port[0] != ':' {
			return false
		}
		port = strings.TrimPrefix(port, ":")
		name = strings.ReplaceAll(name, ":", "0")
	}
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && strings.IndexByte("-._~!$&'()*+,;=", c) < 0 {
			return false
		}
	}
	return name != "" && strings.Trim(port, "0123456789") == ""
}

// EscapePath percent-encodes an object key or a prefix for a path. Slashes stay.
func EscapePath(path string) string { return escape(path, false) }

// EscapeRaw percent-encodes the bytes of an encoded path that must not be raw on the wire,
// including a raw plus, which COS reads as a blank when it verifies the signature. It
// changes nothing else.
func EscapeRaw(raw string) string { return escape(raw, true) }

// escape percent-encodes path. It keeps percent signs if escaped is true.
func escape(path string, escaped bool) string {
	n := 0
	for i := range len(path) {
		if !isRaw(path[i], escaped) {
			n++
		}
	}
	if n == 0 {
		return path
	}
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(path)+2*n)
	for i := range len(path) {
		if c := path[i]; isRaw(c, escaped) {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

// isRaw reports whether a byte of a path stays raw. RFC 3986, 3.3 excludes the brackets, but
// clients send them and COS accepts them.
func isRaw(c byte, escaped bool) bool {
	return isAlphanumeric(c) || strings.IndexByte("/-_.~!$&'()*,;=:@[]", c) >= 0 || c == '%' && escaped
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// unescape decodes percent-escapes. ok is false if one is invalid.
func unescape(raw string) (path string, ok bool) {
	n := strings.Count(raw, "%")
	if n == 0 {
		return raw, true
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return "", false
			}
			high, low := hexDigit(raw[i+1]), hexDigit(raw[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low) //nolint:gosec // both are below 16
			i += 2
		}
		out = append(out, c)
	}
	return string(out), true
}

// hexDigit returns the value of a hexadecimal digit, -1 for any other byte.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
