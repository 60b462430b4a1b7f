package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// copySource is what a copy reads: the host/key of x-cos-copy-source, with the
// key percent-encoded (COS document "PUT Object - Copy").
type copySource struct {
	host    string // as the client wrote it
	from    []*route
	key     string
	rawPath string // the escaped key, and the version if there is one
}

// copySource reads the source of r, nil if it has none. The bucket may be
// called by any of its names, and by those of cosproxy: programs put the host of
// their bucket URL there, which now is the sidecar.
func (p *Proxy) copySource(r *http.Request) (*copySource, error) {
	headers := r.Header["X-Cos-Copy-Source"]
	if len(headers) == 0 {
		return nil, nil
	}
	host, rest, _ := strings.Cut(headers[0], "/")
	escaped, _, _ := strings.Cut(rest, "?")
	key, err := url.PathUnescape(escaped)
	if err != nil || key == "" || len(headers) > 1 {
		return nil, errorf(http.StatusBadRequest, "InvalidArgument",
			"x-cos-copy-source is not one host/key with a percent-encoded key. Write <bucket>.cos.<region>.myqcloud.com/<key>.")
	}
	name, version := hostname(host), rest[len(escaped):]
	// In a path + is a plus; escaped, nobody takes it for a blank.
	s := &copySource{host: host, from: p.bucketHosts[name], key: key, rawPath: strings.ReplaceAll(escaped, "+", "%2B") + version}
	if s.from != nil || name == "" || isCOSName(name) || !p.guard.answersTo(r, name) {
		return s, nil
	}
	// As for requests, an escaped slash is part of a key and ends no path prefix.
	if rt := p.localRoute(name, "/"+escaped); rt != nil {
		from := len(rt.PathPrefix) - 1
		s.from = []*route{rt}
		s.key = rt.KeyPrefix + key[from:]
		s.rawPath = escapedPath(&url.URL{Path: "/" + rt.KeyPrefix})[1:] + s.rawPath[from:]
	}
	return s, nil
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
	return []string{rt.Bucket + ".cos." + rt.Region + cosDomains[0] + "/" + s.rawPath}
}
