package proxy

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
	"cosproxy/proxy/internal/s3req"
)

const (
	headObject = cosreq.ActionPrefix + "HeadObject"
	uploadPart = cosreq.ActionPrefix + "UploadPart"
)

// candidate is the meaning of a request on one route. COS receives its path with the
// client's percent-encoding.
type candidate struct {
	route         *route
	endpoint      *url.URL // of the route, or of the service for GET Service
	op            cosreq.Operation
	path, rawPath string
	query         cosreq.Query
	keyPrefix     string      // for the object key in a form, which is read later
	source        *copySource // nil unless the request is a copy
	removed       int         // undocumented parameters that were removed from the query
}

// candidate returns the meaning of a request on rt. urlPath is the path without
// PathPrefix, decoded once and never cleaned: //, . and %2F are part of object keys.
func (rt *route) candidate(req *request, urlPath, rawPath, keyPrefix string, source *copySource) (candidate, error) {
	c := candidate{
		route: rt, endpoint: rt.endpoint, path: urlPath, rawPath: rawPath, query: req.query, keyPrefix: keyPrefix, source: source,
	}
	if req.method == http.MethodOptions {
		// A preflight has the URL of the request that the browser is about to send, but
		// only the object key matters for the CORS rules.
		c.query = cosreq.Query{}
	}
	key := urlPath[1:]
	if key != "" && keyPrefix != "" {
		key = keyPrefix + key
		c.path, c.rawPath = "/"+key, "/"+cosreq.EscapePath(keyPrefix)+rawPath[1:]
	}
	if readsAsBucket(key) && key != "" {
		return c, bucketKeyError(key)
	}
	if req.dialect == dialectS3 {
		if _, err := s3req.Operation(req.method, key, c.query); err != nil {
			return c, err
		}
	}
	c.op = cosreq.Classify(req.method, key, c.query)
	c.op.Also = appendHeaderNeeds(c.op.Also, req, c.op)
	c.removeUnknown(req)
	if c.op.Needs(cosreq.IsListing) && keyPrefix != "" {
		c.query = c.query.WithPrefix(keyPrefix)
	}
	return c, nil
}

// removeUnknown removes query parameters of a GET or HEAD that COS does not document,
// such as the cache buster ?_=1, unless the route allows all actions. authorize checks
// the remaining ones.
func (c *candidate) removeUnknown(req *request) {
	if len(c.op.Unknown) == 0 || !req.readsOnly() || c.route.allowsAllActions() {
		return
	}
	c.query = c.query.Without(c.op.Unknown)
	c.removed = len(c.op.Unknown)
	c.op.Unknown = nil
}

// readsAsBucket reports whether COS would read the path of this object key as the bucket
// itself, so that a download would become a listing. The official Go and Node SDKs reject
// these keys too.
func readsAsBucket(key string) bool {
	if !strings.HasPrefix(key, ".") && !strings.Contains(key, "/.") { // no . or .. segments
		return strings.Trim(key, "/") == ""
	}
	return path.Clean("/"+key) == "/"
}

func bucketKeyError(key string) error {
	return coserr.New(http.StatusBadRequest, "InvalidURI",
		"COS would read the object key %q as the bucket itself. Choose another object key.", key)
}

// appendHeaderNeeds appends the actions that header fields require. COS treats x-cos-acl,
// x-cos-grant-* and x-cos-tagging as part of an upload, so without this check everyone
// allowed to upload could also make objects public.
func appendHeaderNeeds(needs []cosreq.Need, req *request, op cosreq.Operation) []cosreq.Need {
	for _, f := range req.head.Fields {
		if !http1.HasPrefixFold(f.Name, "x-cos-") && !http1.HasPrefixFold(f.Name, s3req.Prefix) || !req.forwards(f.Name) ||
			http1.HasPrefixFold(f.Name, "x-cos-meta-") || http1.HasPrefixFold(f.Name, "x-amz-meta-") {
			continue
		}
		name := strings.ToLower(string(f.Name))
		if noun := cosreq.Protected(name, req.Values(name)...); noun != "" {
			needs = append(needs, cosreq.Need{Action: op.Put(noun), By: name})
		}
	}
	return needs
}
