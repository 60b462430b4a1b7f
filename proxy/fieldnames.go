package proxy

import "strings"

// Names of header fields that several steps look at, in lower case.
const (
	copySourceField = "x-cos-copy-source"
	crcField        = "x-cos-hash-crc64ecma"
	pictureField    = "pic-operations"
)

// fields is a set of field names.
type fields map[string]bool

// maxFieldName is longer than the names in any set.
const maxFieldName = 32

func fieldSet(names ...string) fields {
	set := make(fields, len(names))
	for _, name := range names {
		set[strings.ToLower(name)] = true
	}
	return set
}

// has reports whether the set has a name in any spelling.
func (s fields) has(name []byte) bool {
	var folded [maxFieldName]byte
	if len(name) > len(folded) {
		return false
	}
	for i, c := range name {
		folded[i] = lower(c)
	}
	return s[string(folded[:len(name)])]
}

// equalFold reports whether b is name, which is ASCII, in any spelling.
func equalFold(b []byte, name string) bool { return len(b) == len(name) && hasPrefixFold(b, name) }

// hasPrefixFold reports whether b begins with prefix, which is ASCII, in any
// spelling.
func hasPrefixFold(b []byte, prefix string) bool {
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
