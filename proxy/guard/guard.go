// Package guard decides which clients may use the proxy and its admin pages: by Host
// against DNS rebinding, by the site that a browser names, and by a token.
package guard

import (
	"net"
	"net/http"
	"net/netip"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// Fields are the header fields of a request. http.Header is one.
type Fields interface {
	// Values returns the values of all fields with this name, nil if there is none.
	Values(name string) []string
}

// Request is the part of a request that a Guard looks at.
type Request struct {
	// Method is the method, in upper case.
	Method string
	// Host is that of an absolute target, else the Host field, as the client wrote it.
	Host string
	// Scheme is that of an absolute target, as clients of a proxy send it; else empty.
	Scheme string
	// Secure says that the client speaks TLS.
	Secure bool
	// Local is the address that the client connected to. Nil: it is not known.
	Local net.Addr
	// Fields are the header fields. They must not be nil.
	Fields Fields
}

// Guard refuses requests. Create it with New.
type Guard struct {
	hosts   map[string]bool // lower case, without port
	origins map[string]bool // as normalizeOrigin spells them
	token   Token           // nil: none is required
}

// New returns a guard for these Host names, besides loopback ones, and for pages of
// these sites. A nil token means that none is required.
func New(hosts, origins []string, token Token) *Guard {
	g := &Guard{hosts: make(map[string]bool, len(hosts)), origins: make(map[string]bool, len(origins)), token: token}
	for _, o := range origins {
		if origin := normalizeOrigin(o); origin != "" {
			g.origins[origin] = true
		}
	}
	for _, h := range hosts {
		g.hosts[cosreq.Hostname(h)] = true
	}
	return g
}

// Check returns the refusal of a request, a *coserr.Error, or nil: 421 for a Host that is
// neither loopback nor known, 403 for a browser on behalf of another site, 401 or 407
// without the token, and 503 while the token cannot be read.
func (g *Guard) Check(r *Request) error {
	if err := g.checkHost(r); err != nil {
		return err
	}
	if err := g.checkOrigin(r); err != nil {
		return err
	}
	return g.checkToken(r)
}

// checkHost prevents DNS rebinding. A browser that was led to localhost by a
// rebound name still sends that name as Host, so a Host that is neither loopback
// nor expected is refused with 421 (RFC 9110, 15.5.20).
func (g *Guard) checkHost(r *Request) error {
	if _, unix := r.Local.(*net.UnixAddr); unix && r.Scheme == "" {
		return nil // no name leads a browser there, and none was asked of a proxy
	}
	name := cosreq.Hostname(r.Host)
	if name == "" || g.KnowsHost(r, name) {
		return nil
	}
	return Misdirected(r.Host)
}

// KnowsHost reports whether name, as cosreq.Hostname spells it, leads to the proxy.
func (g *Guard) KnowsHost(r *Request, name string) bool {
	return cosreq.IsLoopback(name) || g.hosts[name] || isOwnAddress(r, name)
}

// isOwnAddress reports whether name is the IP address that the client connected
// to, as probes address a pod. Rebinding needs a name, so an address is safe.
func isOwnAddress(r *Request, name string) bool {
	local, ok := r.Local.(*net.TCPAddr)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap() == local.AddrPort().Addr().Unmap()
}

// Misdirected returns the 421 for a Host that does not lead to a route. A request for
// a bucket without a route must not reach the bucket of another.
func Misdirected(host string) error {
	host = coserr.Host(host)
	name := cosreq.Hostname(host)
	if !cosreq.IsCOSName(name) {
		return coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"cosproxy does not serve the Host %q.", host).
			Try("Ask it as localhost, or add the name to", coserr.Setting{Name: "AllowedHosts"})
	}
	if bucket, region, ok := cosreq.SplitBucketHost(name); ok {
		return coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"No route leads to bucket %s in %s.", bucket, region).
			Try("Give it one with", coserr.Setting{Name: "Route.Bucket"}, coserr.Setting{Name: "Route.Region"})
	}
	return coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
		"The Host %q is one of Tencent Cloud that no route leads to. cosproxy serves its buckets under their own names.", host).
		Try("They are set in", coserr.Setting{Name: "Route.Bucket"})
}
