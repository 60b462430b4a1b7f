package proxy

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
	"cosproxy/proxy/internal/s3req"
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
	header  string   // the field that names the source
}

// sourceVersion is the query of a copy source of S3.
var sourceVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^versionId=[A-Za-z0-9._~%=+-]+$`) })

// parseCopySource parses x-cos-copy-source, which the request must have. COS documents
// <host>/<key>. Clients also send a scheme or a slash before it, /<bucket>/<key>, and
// <service host>/<bucket>/<key>; isService reports whether a name is a service host.
func parseCopySource(req *request, isService func(name string) bool) (*copySource, error) {
	values := req.Values(req.copySourceField())
	host, rest := splitSource(values[0], req.dialect)
	s := &copySource{name: cosreq.Hostname(host), header: req.copySourceField()}
	if isService(s.name) {
		s.service = s.name
		host, rest, _ = strings.Cut(rest, "/")
	}
	escaped, version, versioned := strings.Cut(rest, "?")
	if req.dialect == dialectS3 {
		if versioned && !sourceVersion().MatchString(version) {
			return nil, coserr.New(http.StatusBadRequest, "InvalidArgument",
				"%s has a question mark that does not begin ?versionId= and a version ID. Send a question mark of the object key as %%3F.", s.header)
		}
		escaped = strings.ReplaceAll(escaped, "+", "%20") // S3 clients encode it like a form
	}
	key, err := url.PathUnescape(escaped)
	if err != nil || key == "" || len(values) > 1 || strings.HasSuffix(host, ":") { // ftp://
		return nil, coserr.New(http.StatusBadRequest, "InvalidArgument",
			"%s must be one <host>/<key> or /<bucket>/<key> with a percent-encoded object key. Send %s.", s.header, s.example())
	}
	s.host, s.key, s.path, s.rawPath = host, key, "/"+escaped, cosreq.EscapeRaw(escaped)
	if versioned {
		s.version = "?" + strings.ReplaceAll(version, "+", "%2B")
	}
	return s, nil
}

// splitSource splits the value of a copy source at its first slash. S3 decodes the value
// before it looks for the bucket, so the slashes around the bucket may be escaped.
func splitSource(value string, d dialect) (host, rest string) {
	value = cosreq.TrimSourceOrigin(value)
	if d == dialectS3 && len(value) >= 3 && strings.EqualFold(value[:3], "%2F") {
		value = value[3:]
	}
	host, rest, _ = strings.Cut(value, "/")
	if d == dialectS3 {
		for _, slash := range []string{"%2F", "%2f"} {
			if bucket, _, found := strings.Cut(host, slash); found {
				host, rest = bucket, value[len(bucket)+len(slash):]
			}
		}
	}
	return host, rest
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

// example returns the documented form of the field.
func (s *copySource) example() string {
	if s.header == s3req.CopySource {
		return "<bucket>/<key>"
	}
	return "<bucket>.cos.<region>.myqcloud.com/<key>"
}

// field returns the header value for COS, with the documented host of the bucket, or with
// its name in the dialect of S3.
func (s *copySource) field(rt *route) string {
	if s.header == s3req.CopySource {
		return rt.Bucket + "/" + s.rawPath + s.version
	}
	return cosreq.CopySourceHost(rt.Bucket, rt.Region) + "/" + s.rawPath + s.version
}
