package http1

// Character classes of RFC 9110, 5.6.2 and 5.5, and of RFC 3986, 3.2.2 for hosts.
var (
	tokenByte [256]bool
	valueByte [256]bool
	hostByte  [256]bool
)

func init() {
	for c := range 256 {
		b := byte(c)
		alphanumeric := '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
		tokenByte[c] = alphanumeric
		hostByte[c] = alphanumeric
		valueByte[c] = b >= ' ' && b != 0x7f || b == '\t'
	}
	for _, b := range []byte("!#$%&'*+-.^_`|~") {
		tokenByte[b] = true
	}
	for _, b := range []byte("-._~%!$&'()*+,;=:[]") {
		hostByte[b] = true
	}
}

func isToken(b []byte) bool { return len(b) > 0 && allIn(&tokenByte, b) }

func allIn(class *[256]bool, b []byte) bool {
	for _, c := range b {
		if !class[c] {
			return false
		}
	}
	return true
}

// EqualFold reports whether b equals name, ignoring the case of ASCII letters. Field
// names are compared this way (RFC 9110, 5.1). name must be ASCII.
func EqualFold(b []byte, name string) bool { return len(b) == len(name) && HasPrefixFold(b, name) }

// HasPrefixFold reports whether b begins with prefix, ignoring the case of ASCII
// letters. prefix must be ASCII.
func HasPrefixFold(b []byte, prefix string) bool {
	if len(b) < len(prefix) {
		return false
	}
	for i := range prefix {
		if lower(b[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// trimWhitespace removes leading and trailing spaces and tabs (OWS of RFC 9110, 5.6.3).
func trimWhitespace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
