package proxy

import (
	"net/http"

	"cosproxy/proxy/internal/cosreq"
)

// isIdempotent reports whether the request has the same effect if COS receives it twice.
func isIdempotent(req *request, c *candidate, b *body) bool {
	switch req.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	case http.MethodPut:
		// The second request would find the object that the first one stored.
		return !req.has("x-cos-forbid-overwrite") && !req.has("If-None-Match") && !req.has("If-Match")
	}
	if b.form != nil {
		return b.form.isIdempotent()
	}
	return c.op.Key == "" && c.op.Action == cosreq.DeleteObject
}

// respondsSlowly reports whether COS may process the request for long before its response
// begins: copies, and requests that process pictures, documents or videos. A silent
// connection does not indicate a failure then.
func respondsSlowly(req *request, c *candidate, b *body) bool {
	switch {
	case c.source != nil, req.has(picOperationsField), c.op.Action == "":
		return true
	case b.form != nil:
		return b.form.isProcessed()
	}
	switch c.op.Action {
	case cosreq.GetObject, headObject, cosreq.PutObject:
		return c.query.Processes()
	}
	return c.query.Has("ci-process")
}
