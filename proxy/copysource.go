package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// copySource is the source object of a copy, from x-cos-copy-source (COS document "PUT
// Object - Copy").
type copySource struct {
	host    string   // host or bucket, as received
	name    string   // the first host, as cosreq.Hostname normalizes it
	service string   // name if it is a service host; else empty
	path    string   // the path after the host, as received
	from    []*route // to the bucket of the source
	key     string   // decoded
	rawPath string   // the percent-encoded object key
	version string   // the query, with its "?"; may be empty
}

// parseCopySource parses x-cos-copy-source, which the request must have. COS documents
// <host>/<key>. Clients also send a scheme or a slash before it, /<bucket>/<key>, and
// <service host>/<bucket>/<key>; isService reports whether a name is a service host.
func parseCopySource(req *request, isService func(name string) bool) (*copySource, error) {
	values := req.Values(copySourceField)
	host, rest, _ := strings.Cut(cosreq.TrimSourceOrigin(values[0]), "/")
	s := &copySource{name: cosreq.Hostname(host)}
	if isService(s.name) {
		s.service = s.name
		host, rest, _ = strings.Cut(rest, "/")
	}
	escaped, version, versioned := strings.Cut(rest, "?")
	key, err := url.PathUnescape(escaped)
	if err != nil || key == "" || len(values) > 1 || strings.HasSuffix(host, ":") { // ftp://
		return nil, coserr.New(http.StatusBadRequest, "InvalidArgument",
			"x-cos-copy-source must be one <host>/<key> or /<bucket>/<key> with a percent-encoded object key. Send <bucket>.cos.<region>.myqcloud.com/<key>.")
	}
	s.host, s.key, s.path, s.rawPath = host, key, "/"+escaped, cosreq.EscapeRaw(escaped)
	if versioned {
		s.version = "?" + strings.ReplaceAll(version, "+", "%2B")
	}
	return s, nil
}

// resolveOn interprets s as a path on a route of the sidecar; a nil route changes nothing.
// As in request paths, an escaped slash is part of the object key and does not end a path
// prefix.
func (s *copySource) resolveOn(rt *route) {
	if rt == nil {
		return
	}
	from := len(rt.PathPrefix) - 1
	s.from = []*route{rt}
	s.key = rt.ObjectPrefix + s.key[from:]
	s.rawPath = cosreq.EscapePath(rt.ObjectPrefix) + s.rawPath[from:]
}

// field returns the header value for COS, with the documented host of the bucket.
func (s *copySource) field(rt *route) string {
	return cosreq.CopySourceHost(rt.Bucket, rt.Region) + "/" + s.rawPath + s.version
}
