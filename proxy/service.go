package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const getService = actionPrefix + "GetService"

// serviceTarget is what a request to an address of the service means: GET / is
// the list of the account's buckets, /<bucket>/<key> at the service of a region
// the old way to name a bucket, which COS closes to new ones. That goes on as
// a request to the bucket.
func (p *Proxy) serviceTarget(r *http.Request, q query, host, urlPath, escaped string, source *copySource) (target, error) {
	if urlPath == "/" {
		return p.listBuckets(r, q, host)
	}
	bucket, _, _ := strings.Cut(escaped[1:], "/")
	own := p.bucketRoutes(bucket, host)
	if own == nil {
		return target{}, errorf(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"%s has no bucket %q that a route leads to. Ask for <bucket>.%[1]s/<key>, with a bucket in COSPROXY_BUCKET or COSPROXY_ROUTES_<n>_BUCKET.", hostOf(host), bucket)
	}
	from := len("/" + bucket)
	if escaped = escaped[from:]; escaped == "" {
		return firstAllowed(own, r, q, "/", "/", source)
	}
	return firstAllowed(own, r, q, urlPath[from:], escaped, source)
}

// listBuckets takes the first route that may list the buckets of the account.
func (p *Proxy) listBuckets(r *http.Request, q query, host string) (target, error) {
	if r.Method != http.MethodGet {
		return target{}, errorf(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"%s lists the buckets of the account with GET / and does nothing else. Ask for an object at the host of its bucket.", host)
	}
	i := slices.IndexFunc(p.routes, func(rt *route) bool { return rt.mayListBuckets() })
	if i < 0 {
		return target{}, errorf(http.StatusForbidden, "AccessDenied",
			"%s lists all buckets of the account, which no route of this sidecar allows. If it should be, add it to %sACTIONS.",
			getService, p.routes[0].Settings)
	}
	rt := p.routes[i]
	t := target{route: rt, op: operation{action: getService}, path: "/", rawPath: "/", query: q}
	for _, param := range q.params {
		if !serviceParameters[param.key] {
			t.op.unknown = append(t.op.unknown, param.key)
		}
	}
	t.removeUnknown(r.Method)
	if t.endpoint = rt.serviceEndpoint(host); t.endpoint == nil {
		return t, errorf(http.StatusNotImplemented, "NotImplemented",
			"COSPROXY_ENDPOINT does not begin with {bucket}., so it does not say where the service is that lists the buckets.")
	}
	return t, nil
}

// mayListBuckets reports whether the route allows GetService: written out, or as
// part of all actions on all keys, as the policy of its key has it.
func (rt Route) mayListBuckets() bool {
	return slices.Contains(rt.Actions, getService) || rt.coversAction(getService) && rt.coversPrefix("")
}

// serviceEndpoint is where the service is that a client called host: there, if
// the bucket's endpoint is COS's own, and else what is left of the endpoint
// without the bucket. Nil if that says nothing.
func (rt *route) serviceEndpoint(host string) *url.URL {
	u := *rt.endpoint
	name := strings.ToLower(u.Hostname())
	if !isCOSName(name) {
		rest, ok := strings.CutPrefix(u.Host, rt.Bucket+".")
		if !ok {
			return nil
		}
		u.Host = rest
		return &u
	}
	u.Host = host
	if port := rt.endpoint.Port(); port != "" {
		u.Host += ":" + port
	}
	return &u
}
