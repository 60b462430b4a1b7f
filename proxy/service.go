package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
	"cosproxy/proxy/internal/s3req"
)

// listBuckets returns the candidate of GET Service on the first route that allows it.
func listBuckets(routes []*route, req *request) (candidate, error) {
	if req.dialect == dialectS3 && req.method != http.MethodGet {
		return candidate{}, coserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"S3 only supports GET /, which lists the buckets of the account. Send other requests to /<bucket>/<key>.")
	}
	if req.method != http.MethodGet {
		return candidate{}, coserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"%s only supports GET /, which lists the buckets of the account. Send other requests to the host of a bucket.", req.name)
	}
	i := slices.IndexFunc(routes, (*route).mayListBuckets)
	if i < 0 {
		return candidate{}, coserr.New(http.StatusForbidden, "AccessDenied",
			"%s, which lists all buckets of the account, is not allowed on any route of this sidecar.", cosreq.GetService).
			Try("To allow it, add it to", routes[0].setting("AllowActions"))
	}
	rt := routes[i]
	c := candidate{route: rt, op: cosreq.Service(req.query), path: "/", rawPath: "/", query: req.query}
	if req.dialect == dialectS3 && len(c.op.Unknown) > 0 {
		return c, s3req.MissingParameterError(c.op.Unknown[0], "ListBuckets")
	}
	c.removeUnknown(req)
	host := req.name
	if req.dialect == dialectS3 {
		host = cosreq.RegionHost(rt.Region) // the client may have used a local address
	}
	if c.endpoint = rt.serviceEndpoint(host); c.endpoint == nil {
		return c, coserr.New(http.StatusNotImplemented, "NotImplemented",
			"cosproxy cannot derive the service host for GET Service from the endpoint, which does not begin with {bucket}.").
			Try("Correct", Setting{Name: "Route.Endpoint"})
	}
	return c, nil
}

// serviceEndpoint returns the endpoint for a request to the service host that the client
// used: that host if the endpoint of the route is a COS host, else the endpoint without
// its leading bucket. It returns nil if the endpoint does not begin with the bucket.
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
