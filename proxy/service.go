package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// listBuckets takes the first route that may list the buckets of the account.
func listBuckets(routes []*route, req *request) (candidate, error) {
	if req.method != http.MethodGet {
		return candidate{}, coserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"%s lists the buckets of the account with GET / and does nothing else. Ask for an object at the host of its bucket.", req.name)
	}
	i := slices.IndexFunc(routes, (*route).mayListBuckets)
	if i < 0 {
		return candidate{}, coserr.New(http.StatusForbidden, "AccessDenied",
			"%s lists all buckets of the account, which no route of this sidecar allows.", cosreq.GetService).
			Try("If it should be, add it to", routes[0].setting("AllowActions"))
	}
	rt := routes[i]
	c := candidate{route: rt, op: cosreq.Service(req.query), path: "/", rawPath: "/", query: req.query}
	c.removeUnknown(req)
	if c.endpoint = rt.serviceEndpoint(req.name); c.endpoint == nil {
		return c, coserr.New(http.StatusNotImplemented, "NotImplemented",
			"The endpoint does not begin with {bucket}., so it does not say where the service is that lists the buckets.").
			Try("Check", Setting{Name: "Route.Endpoint"})
	}
	return c, nil
}

// serviceEndpoint is where the service is that a client called host: there, if
// the bucket's endpoint is COS's own, and else the rest of the endpoint without the
// bucket. Nil if there is no such rest.
func (rt *route) serviceEndpoint(host string) *url.URL {
	u := *rt.endpoint
	name := strings.ToLower(u.Hostname())
	if !cosreq.IsCOSName(name) {
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
