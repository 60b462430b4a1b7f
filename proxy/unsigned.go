package proxy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/cosreq"
)

// applyDialect determines the dialect of a request without a signature, and applies the
// rules of its dialect at now.
func (r *router) applyDialect(req *request, now time.Time) error {
	if !req.signed && (r.unsignedDialect(req) == dialectS3 || r.isPathStyleForm(req)) {
		req.dialect = dialectS3
	}
	if err := req.checkDialect(); err != nil {
		return err
	}
	if req.dialect == dialectCOS {
		return nil
	}
	if err := req.checkExpiry(now); err != nil {
		return err
	}
	return req.parseS3()
}

// unsignedDialect returns the dialect of a request without a signature. It is S3 if Host or
// the beginning of the path names a bucket whose route has that dialect, or if the request
// has no other meaning.
func (r *router) unsignedDialect(req *request) dialect {
	isS3 := func(rt *route) bool { return rt.Dialect == DialectS3 }
	routes := r.bucketHosts[req.name]
	if routes == nil {
		bucket, _, _ := splitBucket(req.target)
		routes = r.bucketRoutes(bucket, "")
		if !slices.ContainsFunc(routes, isS3) {
			routes = r.routes
			if rt := r.localRoute(req.name, req.target.RawPath); rt != nil {
				routes = []*route{rt}
			}
		}
	}
	if slices.ContainsFunc(routes, isS3) {
		return dialectS3
	}
	return dialectCOS
}

// isPathStyleForm reports whether an unsigned request is a form upload in path style: a
// POST to /<bucket> at a local address. S3 clients send forms there, with the signature in
// the body. A route whose PathPrefix is this path keeps its meaning.
func (r *router) isPathStyleForm(req *request) bool {
	if req.method != http.MethodPost || req.target.RawQuery != "" || r.bucketHosts[req.name] != nil || cosreq.IsCOSName(req.name) ||
		!http1.HasPrefixFold(req.head.Get("Content-Type"), "multipart/form-data") {
		return false
	}
	bucket := strings.TrimSuffix(req.target.RawPath[1:], "/")
	rt := r.localRoute(req.name, req.target.RawPath)
	return r.bucketRoutes(bucket, "") != nil && (rt == nil || rt.PathPrefix != "/"+bucket+"/")
}
