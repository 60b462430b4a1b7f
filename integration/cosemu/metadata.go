package cosemu

import (
	"net/http"
	"slices"
	"strings"
)

// metadata is stored with an object, and downloads return it.
type metadata []metaField

type metaField struct{ name, value string }

// storedHeaders are the standard headers that COS stores with an object.
var storedHeaders = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
	"Content-Type", "Expires",
}

// metadataFrom extracts the metadata from the headers of an upload.
func metadataFrom(h http.Header) metadata {
	var m metadata
	for name, values := range h {
		lower := strings.ToLower(name)
		switch {
		case slices.Contains(storedHeaders, name):
			m = append(m, metaField{name, values[0]})
		case lower == "x-cos-storage-class", isACLField(lower), strings.HasPrefix(lower, "x-cos-meta-"):
			m = append(m, metaField{lower, strings.Join(values, ",")})
		}
	}
	return m
}

func (m metadata) get(name string) string {
	for _, f := range m {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

func (m metadata) header() http.Header {
	h := http.Header{}
	for _, f := range m {
		h[f.name] = []string{f.value}
	}
	return h
}

func (m metadata) storageClass() string {
	if class := m.get("x-cos-storage-class"); class != "" {
		return class
	}
	return "STANDARD"
}
