package proxy

import (
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/guard"
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
	bucket, _, more := strings.Cut(strings.TrimPrefix(t.RawPath, "/"), "/")
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
