package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// route is a Route that is ready for requests.
type route struct {
	Route
	endpoint *url.URL
	upstream signingTransport
}

func newRoute(r Route) (*route, error) {
	r.Name = cmp.Or(r.Name, "default")
	r.PathPrefix = cmp.Or(r.PathPrefix, "/")
	r.Settings = cmp.Or(r.Settings, "COSPROXY_")
	switch {
	case r.Bucket == "" || r.Region == "":
		return nil, errors.New("proxy: a route needs a bucket and a region")
	case r.Credentials == nil:
		return nil, errors.New("proxy: Route.Credentials is missing")
	}
	if err := checkPathPrefix(r.PathPrefix); err != nil {
		return nil, err
	}
	endpoint, err := r.URL()
	if err != nil {
		return nil, err
	}
	r.Hosts = slices.Clone(r.Hosts)
	for i, h := range r.Hosts {
		r.Hosts[i] = hostname(h)
	}
	return &route{Route: r, endpoint: endpoint, upstream: signingTransport{credentials: r.Credentials}}, nil
}

// checkPathPrefix wants a prefix that looks the same escaped and unescaped, so
// that there is one way only to write it in a request.
func checkPathPrefix(p string) error {
	if !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/") || p != "/" && path.Clean(p)+"/" != p {
		return fmt.Errorf("proxy: path prefix %q must begin and end with a slash and be clean, such as /photos/", p)
	}
	for _, c := range []byte(p) {
		if c != '/' && c != '-' && c != '_' && c != '.' && c != '~' && !isAlphanumeric(c) {
			return fmt.Errorf("proxy: path prefix %q may have letters, digits, - _ . ~ and slashes only", p)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// target is what a request means on one route. Its path goes to COS, escaped
// as the client had it.
type target struct {
	route         *route
	endpoint      *url.URL // that of the route, but for its service
	op            operation
	path, rawPath string
	query         query
	keyPrefix     string      // for the key of a form, which is not known yet
	source        *copySource // of a copy, else nil
	removed       int         // parameters that the query has lost, since COS does not document them
}

// resolve finds the route of a request and what the request means there. The
// target is usable for the log also beside an error, as far as it goes.
func (p *Proxy) resolve(r *http.Request, q query) (target, error) {
	urlPath, escaped := r.URL.Path, escapedPath(r.URL)
	if urlPath == "" && r.URL.Host != "" { // http://host, as clients of a proxy may write it
		urlPath, escaped = "/", "/"
	}
	if !strings.HasPrefix(urlPath, "/") {
		return target{}, errorf(http.StatusBadRequest, "InvalidURI",
			"The request target is not a path. Send the object key as /key.")
	}
	host := hostname(r.Host)
	source, err := p.copySource(r)
	if err != nil {
		return target{}, err
	}
	if own := p.bucketHosts[host]; own != nil {
		return firstAllowed(own, r, q, urlPath, escaped, source)
	}
	if p.serviceHosts[host] {
		return p.serviceTarget(r, q, host, urlPath, escaped, source)
	}
	rt := p.localRoute(host, escaped)
	if isCOSName(host) && (rt == nil || len(rt.Hosts) == 0) {
		return target{}, misdirected(r.Host)
	}
	if rt == nil {
		return target{}, errorf(http.StatusNotFound, "NoSuchRoute",
			"No route serves this path on Host %q. Routes begin with %s.", hostOf(r.Host), strings.Join(p.pathPrefixes(), " "))
	}
	from := len(rt.PathPrefix) - 1
	return rt.target(r, q, urlPath[from:], escaped[from:], rt.KeyPrefix, source)
}

// firstAllowed serves a request to a bucket's own host: of several routes to
// that bucket the first that allows it, or the first one's refusal.
func firstAllowed(own []*route, r *http.Request, q query, urlPath, escaped string, source *copySource) (target, error) {
	var first target
	var refusal error
	for i, rt := range own {
		t, err := rt.target(r, q, urlPath, escaped, "", source)
		if err == nil {
			return t, nil
		}
		if i == 0 {
			first, refusal = t, err
		}
	}
	return first, refusal
}

// settle chooses the route of a request whose keys stand in its body: of several to
// the bucket's own host the first that allows them, or the first one's refusal.
func (p *Proxy) settle(x *exchange, allows func(*route) error) error {
	refusal := allows(x.target.route)
	if refusal == nil {
		return nil
	}
	for _, rt := range p.bucketHosts[hostname(x.r.Host)] {
		if allows(rt) == nil {
			x.target.route = rt
			return nil
		}
	}
	return refusal
}

// localRoute chooses by Host, then by the longest path prefix.
func (p *Proxy) localRoute(host, path string) *route {
	var best *route
	claimed := false // best was chosen by Host
	for _, rt := range p.routes {
		named := slices.Contains(rt.Hosts, host)
		switch {
		case len(rt.Hosts) > 0 && !named, !strings.HasPrefix(path, rt.PathPrefix):
		case best == nil, named && !claimed, named == claimed && len(rt.PathPrefix) > len(best.PathPrefix):
			best, claimed = rt, named
		}
	}
	return best
}

func (p *Proxy) pathPrefixes() []string {
	var all []string
	for _, rt := range p.routes {
		all = append(all, rt.PathPrefix)
	}
	return all
}

// escapedPath is the path of u as the client has escaped it. url.URL.EscapedPath
// escapes all of it anew if the client has left out a single byte, and then a slash
// that was escaped would be one between segments. A plus is always escaped: COS reads
// a raw one as a blank when it checks the signature.
func escapedPath(u *url.URL) string {
	if u.RawPath == "" {
		return strings.ReplaceAll(u.EscapedPath(), "+", "%2B")
	}
	var b strings.Builder
	for _, c := range []byte(u.RawPath) {
		if isAlphanumeric(c) || strings.IndexByte("%/-_.~!$&'()*,;=:@[]", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func errReadsAsBucket(key string) *Error {
	return errorf(http.StatusBadRequest, "InvalidURI",
		"The object key %q would be read by COS as the bucket itself. Choose another key.", key)
}

// target says what a request means on rt, and whether rt allows it. path is
// the part behind PathPrefix, decoded once and never cleaned: //, . and %2F are
// part of keys.
func (rt *route) target(r *http.Request, q query, urlPath, escaped, keyPrefix string, source *copySource) (target, error) {
	key := urlPath[1:]
	if r.Method == http.MethodOptions {
		// A browser asks for the CORS rules of the key alone, under the URL of the
		// request that it is about to send.
		q = query{}
	}
	t := target{route: rt, endpoint: rt.endpoint, op: operation{key: key}, path: urlPath, rawPath: escaped, query: q, keyPrefix: keyPrefix, source: source}
	if key != "" && keyPrefix != "" {
		key = keyPrefix + key
		t.op.key = key
		t.path, t.rawPath = "/"+key, escapedPath(&url.URL{Path: "/" + keyPrefix})+escaped[1:]
	}
	if key != "" && path.Clean("/"+key) == "/" {
		// COS would read such a path as the bucket: a download would become a
		// listing. The official Go and Node SDKs refuse these keys as well.
		return t, errReadsAsBucket(key)
	}
	t.op = classify(r.Method, key, q)
	t.op.also = append(t.op.also, headerNeeds(r.Header, t.op)...)
	t.removeUnknown(r.Method)
	if t.op.asks(isListing) && keyPrefix != "" {
		t.query = t.query.under(keyPrefix)
	}
	return t, rt.authorize(t, r.Method)
}
