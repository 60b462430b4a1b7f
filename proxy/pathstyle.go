package proxy

import (
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/guard"
	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// s3Candidates appends the candidates of an S3 request. Its Host names a bucket, or its
// path begins with one: clients use path style for IP addresses and localhost. COS rejects
// path style for new buckets, so the request goes to the host of the bucket. PathPrefix and
// ObjectPrefix do not apply, since the client has named the bucket.
func (r *router) s3Candidates(dst []candidate, req *request, source *copySource) ([]candidate, error) {
	if routes := r.bucketHosts[req.name]; routes != nil {
		return bucketCandidates(dst, routes, req, req.target.Path, req.target.RawPath, source)
	}
	service := ""
	switch {
	case r.serviceHosts[req.name]:
		service = req.name
	case cosreq.IsCOSName(req.name) && !slices.ContainsFunc(r.routes, func(rt *route) bool { return slices.Contains(rt.Hosts, req.name) }):
		return dst, guard.Misdirected(req.host)
	}
	if req.target.RawPath == "/" {
		c, err := listBuckets(r.routes, req)
		if err != nil {
			return dst, err
		}
		return append(dst, c), nil
	}
	bucket, urlPath, rawPath := splitBucket(req.target)
	routes := r.bucketRoutes(bucket, service)
	if routes == nil {
		return dst, coserr.New(http.StatusNotFound, "NoSuchBucket",
			"No route leads to bucket %q. Begin the path of an S3 request with one of these buckets: %s",
			coserr.Truncate(bucket), strings.Join(r.buckets(), " "))
	}
	return bucketCandidates(dst, routes, req, urlPath, rawPath, source)
}

// splitBucket splits a path into its first segment and the rest, decoded and encoded. A
// percent-encoded segment is the name of no bucket.
func splitBucket(t cosreq.Target) (bucket, urlPath, rawPath string) {
	bucket, _, more := strings.Cut(t.RawPath[1:], "/")
	if !more || strings.Contains(bucket, "%") {
		return bucket, "/", "/"
	}
	from := len("/" + bucket)
	return bucket, t.Path[from:], t.RawPath[from:]
}

// buckets returns the names of all buckets.
func (r *router) buckets() []string {
	var all []string
	for _, rt := range r.routes {
		if !slices.Contains(all, rt.Bucket) {
			all = append(all, rt.Bucket)
		}
	}
	return all
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
