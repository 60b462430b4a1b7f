package proxy

import "cosproxy/proxy/http1"

// Names of header fields that several steps use, in lower case.
const (
	copySourceField    = "x-cos-copy-source"
	crcField           = "x-cos-hash-crc64ecma"
	picOperationsField = "pic-operations"
)

// maxFieldName is the length of the longest name in a fieldSet.
const maxFieldName = len("Access-Control-Request-Headers")

// fieldSet is a set of field names, indexed by length: few names have the same one.
type fieldSet [maxFieldName + 1][]string

func newFieldSet(names ...string) *fieldSet {
	set := new(fieldSet)
	for _, name := range names {
		set[len(name)] = append(set[len(name)], name)
	}
	return set
}

// has reports whether the set contains a name, in any case. Nil is the empty set.
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
