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

// router finds the routes that a request may mean.
type router struct {
	routes       []*route
	bucketHosts  map[string][]*route // by the host of the endpoint and the names that COS has for the bucket
	serviceHosts map[string]bool     // that list the buckets of the account
}

// newRouter fails if two routes have the same address.
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
			return fmt.Errorf("proxy: routes %s and %s have the same path prefix %s and host", other.Name, rt.Name, rt.PathPrefix)
		}
		if strings.EqualFold(rt.endpoint.Host, other.endpoint.Host) && (rt.Bucket != other.Bucket || rt.Region != other.Region) {
			return fmt.Errorf("proxy: routes %s and %s are for two buckets, but both lead to %s; put {bucket} and {region} into the endpoint",
				other.Name, rt.Name, rt.endpoint.Host)
		}
	}
	r.routes = append(r.routes, rt)
	hosts := rt.COSHosts()
	if host := cosreq.Hostname(rt.endpoint.Host); !cosreq.IsLoopback(host) { // by which clients call the proxy itself
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		if own := r.bucketHosts[host]; len(own) == 0 || own[len(own)-1] != rt {
			r.bucketHosts[host] = append(own, rt)
		}
	}
	for _, host := range cosreq.ServiceHosts(rt.Region) {
		r.serviceHosts[host] = true
	}
	return nil
}

// hosts are all names that lead to a route without being set as such.
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

// candidates appends what the request may mean to dst: one candidate for a route
// that its Host and path select, and several for a bucket's own host, in the order
// of the routes. There is at least one, or an error.
func (r *router) candidates(dst []candidate, req *request, source *copySource) ([]candidate, error) {
	if own := r.bucketHosts[req.name]; own != nil {
		return bucketCandidates(dst, own, req, req.target.Path, req.target.RawPath, source)
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
			"No route serves this path on Host %q. Routes begin with %s.", coserr.Host(req.host), strings.Join(r.pathPrefixes(), " "))
	}
	from := len(rt.PathPrefix) - 1
	c, err := rt.candidate(req, req.target.Path[from:], req.target.RawPath[from:], rt.ObjectPrefix, source)
	if err != nil {
		return dst, err
	}
	return append(dst, c), nil
}

// bucketCandidates are those of a request to a bucket by its own name.
func bucketCandidates(dst []candidate, own []*route, req *request, urlPath, rawPath string, source *copySource) ([]candidate, error) {
	for _, rt := range own {
		c, err := rt.candidate(req, urlPath, rawPath, "", source)
		if err != nil {
			return dst, err
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// localRoute selects by Host, then by the longest path prefix. Nil if there is none.
func (r *router) localRoute(host, rawPath string) *route {
	var best *route
	claimed := false // best was selected by Host
	for _, rt := range r.routes {
		named := slices.Contains(rt.Hosts, host)
		switch {
		case len(rt.Hosts) > 0 && !named, !strings.HasPrefix(rawPath, rt.PathPrefix):
		case best == nil, named && !claimed, named == claimed && len(rt.PathPrefix) > len(best.PathPrefix):
			best, claimed = rt, named
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

// bucketRoutes returns the routes to a bucket by its name, in the region of the
// service's host if there is one.
func (r *router) bucketRoutes(bucket, serviceHost string) []*route {
	var all []*route
	for _, rt := range r.routes {
		if rt.Bucket == bucket && (serviceHost == "" || slices.Contains(strings.Split(serviceHost, "."), rt.Region)) {
			all = append(all, rt)
		}
	}
	return all
}

// copySource reads the source of a copy and finds the routes to its bucket. The bucket
// may be called by any of its names, and by those of cosproxy, which g knows: programs
// put the host of their bucket URL there, which now is the sidecar.
func (r *router) copySource(req *request, g *guard.Guard) (*copySource, error) {
	if !req.has(copySourceField) {
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

// serviceCandidates are those of a request to an address of the service: GET / is
// the list of the account's buckets, /<bucket>/<key> at the service of a region
// the old way to name a bucket, which COS closes to new ones. That is forwarded as
// a request to the bucket.
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
	own := r.bucketRoutes(bucket, req.name)
	if own == nil {
		return dst, coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"%s has no bucket %q that a route leads to. Ask for <bucket>.%[1]s/<key>.", coserr.Host(req.name), bucket).
			Try("The bucket must be one of", Setting{Name: "Route.Bucket"})
	}
	from := len("/" + bucket)
	if rawPath = rawPath[from:]; rawPath == "" {
		return bucketCandidates(dst, own, req, "/", "/", source)
	}
	return bucketCandidates(dst, own, req, urlPath[from:], rawPath, source)
}
