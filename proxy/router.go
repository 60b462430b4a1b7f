package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/guard"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// router maps host and path of a request to routes.
type router struct {
	routes       []*route
	bucketHosts  map[string][]*route // by endpoint host and COS host of the bucket
	serviceHosts map[string]bool     // hosts of GET Service
}

// newRouter returns an error if two routes have the same host and path prefix, or if
// one endpoint host would serve two buckets.
func newRouter(routes []*route) (*router, error) {
	r := &router{bucketHosts: make(map[string][]*route), serviceHosts: make(map[string]bool)}
	for _, rt := range routes {
		if err := r.add(rt); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *router) add(rt *route) error {
	for _, other := range r.routes {
		shared := len(rt.Hosts) == 0 && len(other.Hosts) == 0 ||
			slices.ContainsFunc(rt.Hosts, func(h string) bool { return slices.Contains(other.Hosts, h) })
		if shared && rt.PathPrefix == other.PathPrefix {
			return fmt.Errorf("proxy: routes %s and %s have the same path prefix %s and host; give one of them another path prefix or host name", other.Name, rt.Name, rt.PathPrefix)
		}
		if strings.EqualFold(rt.endpoint.Host, other.endpoint.Host) && (rt.Bucket != other.Bucket || rt.Region != other.Region) {
			return fmt.Errorf("proxy: routes %s and %s have different buckets but the same endpoint host %s; put {bucket} and {region} into Route.Endpoint",
				other.Name, rt.Name, rt.endpoint.Host)
		}
	}
	r.routes = append(r.routes, rt)
	hosts := append(rt.COSHosts(), rt.Bucket+".localhost")                   // RFC 6761, 6.3: always loopback
	if host := cosreq.Hostname(rt.endpoint.Host); !cosreq.IsLoopback(host) { // a loopback name means the proxy itself
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		if same := r.bucketHosts[host]; len(same) == 0 || same[len(same)-1] != rt {
			r.bucketHosts[host] = append(same, rt)
		}
	}
	for _, host := range cosreq.ServiceHosts(rt.Region) {
		r.serviceHosts[host] = true
	}
	return nil
}

// hosts returns every Host name that leads to a route.
func (r *router) hosts() []string {
	var all []string
	for host := range r.bucketHosts {
		all = append(all, host)
	}
	for host := range r.serviceHosts {
		all = append(all, host)
	}
	for _, rt := range r.routes {
		all = append(all, rt.Hosts...)
	}
	return all
}

// candidates appends the possible meanings of the request to dst: one candidate if Host
// and path select a route, one per route of the bucket, in their order, if Host names a
// bucket. It returns at least one candidate or an error.
func (r *router) candidates(dst []candidate, req *request, source *copySource) ([]candidate, error) {
	if req.dialect == dialectS3 {
		return r.s3Candidates(dst, req, source)
	}
	if routes := r.bucketHosts[req.name]; routes != nil {
		return bucketCandidates(dst, routes, req, req.target.Path, req.target.RawPath, source)
	}
	if r.serviceHosts[req.name] {
		return r.serviceCandidates(dst, req, source)
	}
	rt := r.localRoute(req.name, req.target.RawPath)
	if cosreq.IsCOSName(req.name) && (rt == nil || len(rt.Hosts) == 0) {
		return dst, guard.Misdirected(req.host)
	}
	if rt == nil {
		return dst, coserr.New(http.StatusNotFound, "NoSuchRoute",
			"No route matches this path on Host %q. Begin the path with one of these prefixes: %s", coserr.Host(req.host), strings.Join(r.pathPrefixes(), " "))
	}
	from := len(rt.PathPrefix) - 1
	c, err := rt.candidate(req, req.target.Path[from:], req.target.RawPath[from:], rt.ObjectPrefix, source)
	if err != nil {
		return dst, err
	}
	return append(dst, c), nil
}

// bucketCandidates appends one candidate for each route of the bucket that Host names.
func bucketCandidates(dst []candidate, routes []*route, req *request, urlPath, rawPath string, source *copySource) ([]candidate, error) {
	for _, rt := range routes {
		c, err := rt.candidate(req, urlPath, rawPath, "", source)
		if err != nil {
			return dst, err
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// localRoute selects a route by Host, then by the longest path prefix. It returns nil if
// no route matches.
func (r *router) localRoute(host, rawPath string) *route {
	var best *route
	bestByHost := false // best lists host
	for _, rt := range r.routes {
		byHost := slices.Contains(rt.Hosts, host)
		switch {
		case len(rt.Hosts) > 0 && !byHost, !strings.HasPrefix(rawPath, rt.PathPrefix):
		case best == nil, byHost && !bestByHost, byHost == bestByHost && len(rt.PathPrefix) > len(best.PathPrefix):
			best, bestByHost = rt, byHost
		}
	}
	return best
}

func (r *router) pathPrefixes() []string {
	var all []string
	for _, rt := range r.routes {
		all = append(all, rt.PathPrefix)
	}
	return all
}

// bucketRoutes returns the routes to a bucket. If serviceHost is not empty, their region
// must be part of it.
func (r *router) bucketRoutes(bucket, serviceHost string) []*route {
	var all []*route
	for _, rt := range r.routes {
		if rt.Bucket == bucket && (serviceHost == "" || slices.Contains(strings.Split(serviceHost, "."), rt.Region)) {
			all = append(all, rt)
		}
	}
	return all
}

// copySource parses the source of a copy and finds the routes to its bucket; it returns
// nil if the request is not a copy. The source may name any host of the bucket, or a host
// of cosproxy, which g knows: programs use the host of their bucket URL here, and that is
// now the sidecar.
func (r *router) copySource(req *request, g *guard.Guard) (*copySource, error) {
	if !req.isCopy() {
		return nil, nil
	}
	s, err := parseCopySource(req, func(name string) bool { return r.serviceHosts[name] })
	if err != nil {
		return nil, err
	}
	switch {
	case s.service != "":
		s.from = r.bucketRoutes(s.host, s.service)
	case r.bucketHosts[s.name] != nil:
		s.from = r.bucketHosts[s.name]
	default:
		s.from = r.bucketRoutes(s.host, "")
	}
	if s.from == nil && s.name != "" && !cosreq.IsCOSName(s.name) && g.KnowsHost(req.guardRequest(), s.name) {
		s.resolveOn(r.localRoute(s.name, s.path))
	}
	return s, nil
}

// serviceCandidates appends the candidates of a request to a service host. GET / lists
// the buckets of the account. /<bucket>/<key> is a path-style request, which COS rejects
// for new buckets; it is forwarded to the host of the bucket.
func (r *router) serviceCandidates(dst []candidate, req *request, source *copySource) ([]candidate, error) {
	urlPath, rawPath := req.target.Path, req.target.RawPath
	if urlPath == "/" {
		c, err := listBuckets(r.routes, req)
		if err != nil {
			return dst, err
		}
		return append(dst, c), nil
	}
	bucket, _, _ := strings.Cut(rawPath[1:], "/")
	routes := r.bucketRoutes(bucket, req.name)
	if routes == nil {
		return dst, coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"No route leads to bucket %q at %s. Send the request to <bucket>.%[2]s/<key>.", bucket, coserr.Host(req.name)).
			Try("The bucket must be set in", Setting{Name: "Route.Bucket"})
	}
	from := len("/" + bucket)
	if rawPath = rawPath[from:]; rawPath == "" {
		return bucketCandidates(dst, routes, req, "/", "/", source)
	}
	return bucketCandidates(dst, routes, req, urlPath[from:], rawPath, source)
}
