package proxy

import (
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/cosreq"
)

// setDialect sets the dialect of a request without a signature, also of one that parse has
// rejected: the error response has this dialect.
func (r *router) setDialect(req *request) {
	if !req.signed && (r.meansS3(req) || r.isPathStyleForm(req)) {
		req.dialect = dialectS3
	}
}

// meansS3 reports whether Host or the beginning of the path names a bucket whose route has
// the dialect S3, or the request has no other meaning.
func (r *router) meansS3(req *request) bool {
	isS3 := func(rt *route) bool { return rt.Dialect == DialectS3 }
	if routes := r.bucketHosts[req.name]; routes != nil {
		return slices.ContainsFunc(routes, isS3)
	}
	bucket, _, _ := splitBucket(req.target)
	if slices.ContainsFunc(r.bucketRoutes(bucket, ""), isS3) {
		return true
	}
	if rt := r.localRoute(req.name, req.target.RawPath); rt != nil {
		return isS3(rt)
	}
	return slices.ContainsFunc(r.routes, isS3)
}

// isPathStyleForm reports whether an unsigned request is a form upload in path style: a
// POST to /<bucket> at a local address. S3 clients send forms there, with the signature in
// the body. A route whose PathPrefix is this path keeps its meaning.
func (r *router) isPathStyleForm(req *request) bool {
	if req.method != http.MethodPost || req.target.RawQuery != "" || r.bucketHosts[req.name] != nil || cosreq.IsCOSName(req.name) ||
		!http1.HasPrefixFold(req.head.Get("Content-Type"), "multipart/form-data") {
		return false
	}
	bucket := strings.TrimSuffix(strings.TrimPrefix(req.target.RawPath, "/"), "/")
	rt := r.localRoute(req.name, req.target.RawPath)
	return r.bucketRoutes(bucket, "") != nil && (rt == nil || rt.PathPrefix != "/"+bucket+"/")
}
