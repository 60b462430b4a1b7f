package cosreq

import "strings"

// KeyHeaders are the header fields, and form fields, in which a request names objects
// besides the one in its path: what a rename moves away, what a link leads to, where
// processed pictures are stored. They name keys in ways of their own, so they cannot
// be held to prefixes. It is not to be changed.
var KeyHeaders = []string{"x-cos-rename-source", "x-cos-symlink-target", "pic-operations"}

// copySource names an object as well, in a form that is documented.
const copySource = "x-cos-copy-source"

// NamesKeys reports whether a field, in any spelling, names an object: one of
// KeyHeaders, or x-cos-copy-source.
func NamesKeys(name string) bool {
	if len(name) < len("pic-operations") { // most are
		return false
	}
	for _, other := range KeyHeaders {
		if strings.EqualFold(name, other) {
			return true
		}
	}
	return strings.EqualFold(name, copySource)
}
