package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// copySource is what a copy reads: the object that x-cos-copy-source names, with
// its key percent-encoded (COS document "PUT Object - Copy").
type copySource struct {
	host    string // or bucket, as the client wrote it
	from    []*route
	key     string
	rawPath string // the escaped key
	version string // what follows the key, with its "?"; may be empty
}

// copySource reads the source of r, nil if it has none. Documented is <host>/<key>.
// Clients also write a scheme or a slash in front of it, the bucket's name alone, and
// the service's host before the bucket. The bucket may be called by any of its
// names, and by those of cosproxy: programs put the host of their bucket URL there,
// which now is the sidecar.
func (p *Proxy) copySource(r *http.Request) (*copySource, error) {
	headers := r.Header["X-Cos-Copy-Source"]
	if len(headers) == 0 {
		return nil, nil
	}
	host, rest, _ := strings.Cut(trimSourceOrigin(headers[0]), "/")
	name := hostname(host)
	if p.serviceHosts[name] {
		host, rest, _ = strings.Cut(rest, "/")
	}
	escaped, version, versioned := strings.Cut(rest, "?")
	key, err := url.PathUnescape(escaped)
	if err != nil || key == "" || len(headers) > 1 || strings.HasSuffix(host, ":") { // ftp://
		return nil, errorf(http.StatusBadRequest, "InvalidArgument",
			"x-cos-copy-source is not one <host>/<key> or /<bucket>/<key> with a percent-encoded key. Write <bucket>.cos.<region>.myqcloud.com/<key>.")
	}
	s := &copySource{host: host, key: key, rawPath: escapedPath(&url.URL{RawPath: escaped})}
	if versioned {
		s.version = "?" + strings.ReplaceAll(version, "+", "%2B")
	}
	switch {
	case p.serviceHosts[name]:
		s.from = p.bucketRoutes(host, name)
	case p.bucketHosts[name] != nil:
		s.from = p.bucketHosts[name]
	default:
		s.from = p.bucketRoutes(host, "")
	}
	if s.from == nil && name != "" && !isCOSName(name) && p.guard.answersTo(r, name) {
		s.throughRoute(p.localRoute(name, "/"+escaped))
	}
	return s, nil
}

// trimSourceOrigin removes what clients write in front of <host>/<key>: a scheme,
// or one slash.
func trimSourceOrigin(source string) string {
	if scheme, rest, found := strings.Cut(source, "://"); found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) {
		return rest
	}
	return strings.TrimPrefix(source, "/")
}

// bucketRoutes returns the routes to a bucket by its name, in the region of the
// service's host if there is one.
func (p *Proxy) bucketRoutes(bucket, serviceHost string) []*route {
	var all []*route
	for _, rt := range p.routes {
		if rt.Bucket == bucket && (serviceHost == "" || slices.Contains(strings.Split(serviceHost, "."), rt.Region)) {
			all = append(all, rt)
		}
	}
	return all
}

// throughRoute reads s as a path of the sidecar. As for requests, an escaped slash
// is part of a key and ends no path prefix.
func (s *copySource) throughRoute(rt *route) {
	if rt == nil {
		return
	}
	from := len(rt.PathPrefix) - 1
	s.from = []*route{rt}
	s.key = rt.KeyPrefix + s.key[from:]
	s.rawPath = escapedPath(&url.URL{Path: "/" + rt.KeyPrefix})[1:] + s.rawPath[from:]
}

// authorizeCopy checks what a copy reads: GetObject on a key of the route's own
// bucket.
func (rt Route) authorizeCopy(s *copySource) error {
	own := func(other *route) bool { return other.Bucket == rt.Bucket && other.Region == rt.Region }
	switch {
	case !slices.ContainsFunc(s.from, own):
		return errorf(http.StatusForbidden, "AccessDenied",
			"name/cos:GetObject on %q of %s is not allowed: a copy on route %s may only read from its own bucket, %s in %s.",
			s.key, hostOf(s.host), rt.Name, rt.Bucket, rt.Region)
	case s.key == "":
		return errorf(http.StatusBadRequest, "InvalidArgument", "x-cos-copy-source names a bucket and no key in it.")
	case !rt.coversAction(actionPrefix + "GetObject"):
		return rt.denied(actionPrefix+"GetObject", s.key, "ACTIONS")
	case !rt.coversKey(s.key):
		return rt.denied(actionPrefix+"GetObject", s.key, "PREFIXES")
	}
	return nil
}

// header is the value that COS gets: the source under the name that the
// document gives for it.
func (s *copySource) header(rt *route) []string {
	return []string{rt.Bucket + ".cos." + rt.Region + cosDomains[0] + "/" + s.rawPath + s.version}
}
