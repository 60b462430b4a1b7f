package signer

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// secretPairs matches the pairs of an HttpString whose values are secrets: session tokens, and
// the keys of server-side encryption with customer keys (SSE-C). A CanonicalRequest of AWS has
// lines with a colon instead of pairs.
var secretPairs = regexp.MustCompile(`(?i)(^|&)((?:x-(?:cos|ci|amz)-security-token|[a-z0-9-]*-customer-key)[=:])[^&]+`)

// Redact returns one line of an HttpString or CanonicalRequest in a printable form: it masks
// secret values, and quotes a line with unprintable characters.
func Redact(line string) string {
	line = secretPairs.ReplaceAllString(line, "${1}${2}[masked]")
	unprintable := func(r rune) bool { return !strconv.IsPrint(r) }
	if strings.ContainsFunc(line, unprintable) || !utf8.ValidString(line) {
		return strconv.Quote(line)
	}
	return line
}

// HTTPLines returns the four lines of an HttpString: method, path, parameters and headers. The
// path may contain line feeds. ok is false if there are fewer lines. The final LF is optional,
// because it gets lost in copied text.
func HTTPLines(httpString string) (lines [4]string, ok bool) {
	var rest string
	lines[0], rest, _ = strings.Cut(httpString, "\n")
	rest = strings.TrimSuffix(rest, "\n")
	headers := strings.LastIndexByte(rest, '\n')
	if headers < 0 {
		return lines, false
	}
	rest, lines[3] = rest[:headers], rest[headers+1:]
	params := strings.LastIndexByte(rest, '\n')
	if params < 0 {
		return lines, false
	}
	lines[1], lines[2] = rest[:params], rest[params+1:]
	return lines, true
}
