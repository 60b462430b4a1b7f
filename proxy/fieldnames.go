package proxy

import "cosproxy/proxy/http1"

// Names of header fields that several steps look at, in lower case.
const (
	copySourceField    = "x-cos-copy-source"
	crcField           = "x-cos-hash-crc64ecma"
	picOperationsField = "pic-operations"
)

// maxFieldName is the length of the longest name in any set.
const maxFieldName = len("Access-Control-Request-Headers")

// fields is a set of field names, by their lengths: there are few of each.
type fieldSet [maxFieldName + 1][]string

func newFieldSet(names ...string) *fieldSet {
	set := new(fieldSet)
	for _, name := range names {
		set[len(name)] = append(set[len(name)], name)
	}
	return set
}

// has reports whether the set has a name in any spelling. Nil is the empty set.
func (s *fieldSet) has(name []byte) bool {
	if s == nil || len(name) > maxFieldName {
		return false
	}
	for _, known := range s[len(name)] {
		if http1.HasPrefixFold(name, known) {
			return true
		}
	}
	return false
}
