package proxy

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

const (
	headObject = cosreq.ActionPrefix + "HeadObject"
	uploadPart = cosreq.ActionPrefix + "UploadPart"
)

// candidate is what a request means on one route. Its path goes to COS, escaped
// as the client had it.
type candidate struct {
	route         *route
	endpoint      *url.URL // that of the route, except for its service
	op            cosreq.Operation
	path, rawPath string
	query         cosreq.Query
	keyPrefix     string      // for the key of a form, which is not known yet
	source        *copySource // of a copy, else nil
	removed       int         // parameters that the query has lost, since COS does not document them
}

// candidate says what a request means on rt. urlPath is the part behind PathPrefix,
// decoded once and never cleaned: //, . and %2F are part of keys.
func (rt *route) candidate(req *request, urlPath, rawPath, keyPrefix string, source *copySource) (candidate, error) {
	c := candidate{
		route: rt, endpoint: rt.endpoint, path: urlPath, rawPath: rawPath, query: req.query, keyPrefix: keyPrefix, source: source,
	}
	if req.method == http.MethodOptions {
		// A browser asks for the CORS rules of the key alone, under the URL of the
		// request that it is about to send.
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
	c.op = cosreq.Classify(req.method, key, c.query)
	c.op.Also = appendHeaderNeeds(c.op.Also, req, c.op)
	c.removeUnknown(req)
	if c.op.Needs(cosreq.IsListing) && keyPrefix != "" {
		c.query = c.query.WithPrefix(keyPrefix)
	}
	return c, nil
}

// removeUnknown leaves out of a download or listing what COS does not document
// for it, such as ?_=1 against caches, unless the route allows everything. The rest
// is what authorize checks.
func (c *candidate) removeUnknown(req *request) {
	if len(c.op.Unknown) == 0 || !req.readsOnly() || c.route.allowsAllActions() {
		return
	}
	c.query = c.query.Without(c.op.Unknown)
	c.removed = len(c.op.Unknown)
	c.op.Unknown = nil
}

// readsAsBucket reports whether COS would read the path of a key as the bucket: a
// download would become a listing. The official Go and Node SDKs refuse these keys
// as well.
func readsAsBucket(key string) bool {
	if !strings.HasPrefix(key, ".") && !strings.Contains(key, "/.") { // no . or .. between slashes
		return strings.Trim(key, "/") == ""
	}
	return path.Clean("/"+key) == "/"
}

func bucketKeyError(key string) error {
	return coserr.New(http.StatusBadRequest, "InvalidURI",
		"COS would read the object key %q as the bucket itself. Choose another key.", key)
}

// appendHeaderNeeds adds the rights that header fields ask for. COS judges x-cos-acl,
// x-cos-grant-* and x-cos-tagging on a write as a part of that write, so a right
// to upload would be one to publish.
func appendHeaderNeeds(needs []cosreq.Need, req *request, op cosreq.Operation) []cosreq.Need {
	for _, f := range req.head.Fields {
		if !http1.HasPrefixFold(f.Name, "x-cos-") && !http1.HasPrefixFold(f.Name, "x-amz-") || http1.HasPrefixFold(f.Name, "x-cos-meta-") {
			continue
		}
		name := strings.ToLower(string(f.Name))
		if noun := cosreq.Protected(name, req.Values(name)...); noun != "" {
			needs = append(needs, cosreq.Need{Action: op.Put(noun), By: name})
		}
	}
	return needs
}
