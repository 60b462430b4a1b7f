package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// copySource is what a copy reads: the object that x-cos-copy-source names, with
// its key percent-encoded (COS document "PUT Object - Copy").
type copySource struct {
	host    string // or bucket, as the client wrote it
	name    string // the first host, in one spelling
	service string // name, if it is that of the service; else empty
	path    string // what follows the host, as the client wrote it
	from    []*route
	key     string
	rawPath string // the escaped key
	version string // what follows the key, with its "?"; may be empty
}

// parseCopySource reads the source of a request that has one. Documented is
// <host>/<key>. Clients also write a scheme or a slash in front of it, the bucket's
// name alone, and the service's host before the bucket, as isService tells.
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
			"x-cos-copy-source is not one <host>/<key> or /<bucket>/<key> with a percent-encoded key. Write <bucket>.cos.<region>.myqcloud.com/<key>.")
	}
	s.host, s.key, s.path, s.rawPath = host, key, "/"+escaped, cosreq.EscapeRaw(escaped)
	if versioned {
		s.version = "?" + strings.ReplaceAll(version, "+", "%2B")
	}
	return s, nil
}

// resolveOn reads s as a path of the sidecar. As for requests, an escaped slash
// is part of a key and ends no path prefix.
func (s *copySource) resolveOn(rt *route) {
	if rt == nil {
		return
	}
	from := len(rt.PathPrefix) - 1
	s.from = []*route{rt}
	s.key = rt.ObjectPrefix + s.key[from:]
	s.rawPath = cosreq.EscapePath(rt.ObjectPrefix) + s.rawPath[from:]
}

// field is the value that COS gets: the source under the name that the document
// gives for it.
func (s *copySource) field(rt *route) string {
	return cosreq.CopySourceHost(rt.Bucket, rt.Region) + "/" + s.rawPath + s.version
}
