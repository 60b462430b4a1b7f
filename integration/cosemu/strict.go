package cosemu

import (
	"slices"
	"strings"
)

// checkStrict applies strict signature mode with every rule on: all headers and
// parameters that the mode covers must be signed (COS documentation, overview of the
// strict signature mode).
func (x *exchange) checkStrict(auth authorization) error {
	listed := strings.Split(auth.headerList, ";")
	for _, f := range wireHeaders(x.r) {
		if strictHeader(f.name) && !slices.Contains(listed, f.name) {
			return accessDenied("Strict signature missing header that must be signed")
		}
	}
	listed = strings.Split(auth.paramList, ";")
	for _, f := range wireParams(x.query, auth.presigned) {
		if !slices.Contains(listed, f.name) {
			return accessDenied("Strict signature missing param that must be signed")
		}
	}
	return nil
}

func strictHeader(name string) bool {
	switch name {
	case "host", "content-length", "content-type", "content-md5", "range":
		return true
	}
	return strings.HasPrefix(name, "x-cos-")
}
