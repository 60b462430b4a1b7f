// Package guard rejects requests that must not use the proxy or its admin pages: those
// with an unknown Host (DNS rebinding), cross-site requests of browsers, and those without
// the client token.
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

// Request is the part of a request that a Guard checks.
type Request struct {
	// Method is the method, in upper case.
	Method string
	// Host is the host of an absolute target, else the Host field, as received.
	Host string
	// Scheme is the scheme of an absolute target, which clients of an HTTP proxy send.
	// Empty for other targets.
	Scheme string
	// Secure is true if the client uses TLS.
	Secure bool
	// Local is the address that the client connected to. Nil means unknown.
	Local net.Addr
	// Fields are the header fields. They must not be nil.
	Fields Fields
}

// Guard checks requests. Create it with New.
type Guard struct {
	hosts   map[string]bool // normalized by cosreq.Hostname
	origins map[string]bool // normalized by normalizeOrigin
	token   Token           // nil: requests need no token
}

// New returns a Guard that allows these Host names in addition to loopback ones, and
// browser requests from these origins. A nil token means that requests need no token.
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

// Check returns nil or a *coserr.Error: 421 for an unknown Host, 403 for a cross-site
// request of a browser, 401 or 407 for a missing or wrong token, 503 if the token cannot
// be read.
func (g *Guard) Check(r *Request) error {
	if err := g.checkHost(r); err != nil {
		return err
	}
	if err := g.checkOrigin(r); err != nil {
		return err
	}
	return g.checkToken(r)
}

// checkHost prevents DNS rebinding: a browser that resolves an attacker's name to loopback
// still sends that name as Host. It rejects a Host that is neither loopback nor known with
// 421 (RFC 9110, 15.5.20).
func (g *Guard) checkHost(r *Request) error {
	if _, unix := r.Local.(*net.UnixAddr); unix && r.Scheme == "" {
		return nil // no name resolves to a Unix socket; clients of an HTTP proxy name their target
	}
	name := cosreq.Hostname(r.Host)
	if name == "" || g.KnowsHost(r, name) {
		return nil
	}
	return Misdirected(r.Host)
}

// KnowsHost reports whether name, normalized by cosreq.Hostname, leads to the proxy.
func (g *Guard) KnowsHost(r *Request, name string) bool {
	return cosreq.IsLoopback(name) || g.hosts[name] || isOwnAddress(r, name)
}

// isOwnAddress reports whether name is the IP address that the client connected to, as
// Kubernetes probes use it. DNS rebinding needs a name, so an address is safe.
func isOwnAddress(r *Request, name string) bool {
	local, ok := r.Local.(*net.TCPAddr)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap() == local.AddrPort().Addr().Unmap()
}

// Misdirected returns the 421 for a Host that leads to no route. A request for a bucket
// without a route must not reach another bucket.
func Misdirected(host string) error {
	host = coserr.Host(host)
	name := cosreq.Hostname(host)
	if !cosreq.IsCOSName(name) {
		return coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"cosproxy does not serve the Host %q.", host).
			Try("Use localhost, or add the name to", coserr.Setting{Name: "AllowedHosts"})
	}
	if bucket, region, ok := cosreq.SplitBucketHost(name); ok {
		return coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"No route leads to bucket %s in %s.", bucket, region).
			Try("Add a route for it: set its region and", coserr.Setting{Name: "Route.Bucket"})
	}
	return coserr.New(http.StatusMisdirectedRequest, "MisdirectedRequest",
		"No route leads to the Tencent Cloud host %q. Use the host of a bucket of a route, or add a route.", host).
		Try("The bucket of a route is set in", coserr.Setting{Name: "Route.Bucket"})
}
