package proxy

import (
	"net/http"

	"cosproxy/proxy/internal/cosreq"
)

// isIdempotent reports whether COS ends up in the same state if it gets the
// request twice.
func isIdempotent(req *request, c *candidate, b *body) bool {
	switch req.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	case http.MethodPut:
		// The second of two would find the first one's object.
		return !req.has("x-cos-forbid-overwrite") && !req.has("If-None-Match") && !req.has("If-Match")
	}
	if b.form != nil {
		return b.form.isIdempotent()
	}
	return c.op.Key == "" && c.op.Action == cosreq.DeleteObject
}

// respondsSlowly reports whether COS may work for long before its response begins:
// on a copy, and where a rule makes another picture, document or video of an object.
// The silence of a connection says nothing then.
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
