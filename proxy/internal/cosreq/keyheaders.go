package cosreq

import "strings"

// keyHeaders are the header fields and form fields that contain further object keys: the
// source of a rename, the target of a symbolic link, the names of processed pictures.
// Their formats differ, so they are not checked against prefixes.
var keyHeaders = []string{"x-cos-rename-source", "x-cos-symlink-target", "pic-operations"}

// copySource also contains an object key, in a documented format.
const copySource = "x-cos-copy-source"

// NamesKeys reports whether a field, in any case, contains an object key: one of
// keyHeaders, or x-cos-copy-source.
func NamesKeys(name string) bool {
	if len(name) < len("pic-operations") { // most names are shorter
		return false
	}
	for _, other := range keyHeaders {
		if strings.EqualFold(name, other) {
			return true
		}
	}
	return strings.EqualFold(name, copySource)
}
