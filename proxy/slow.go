package proxy

import (
	"slices"
	"strings"
)

// respondsSlowly reports whether COS may work for long before its response begins:
// on a copy, and where a rule makes another picture, document or video of an object.
// The silence of a connection says nothing then.
func (x *exchange) respondsSlowly() bool {
	if x.target.source != nil || x.r.Header["Pic-Operations"] != nil {
		return true
	}
	if f := x.upload.form; f != nil {
		return slices.ContainsFunc(f.fields, isProcessing)
	}
	switch strings.TrimPrefix(x.target.op.action, actionPrefix) {
	case "": // no operation that is documented
		return true
	case "GetObject", "HeadObject", "PutObject":
		return x.target.query.processes()
	}
	return x.target.query.has("ci-process")
}
