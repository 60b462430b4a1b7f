package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// resolveLoops finds settings that lead back to a listener of this process, on which
// its own requests would come in again. Listeners whose address is not known yet
// are left to proxy, which recognizes such requests.
func (c *resolved) resolveLoops(p *problems) {
	for _, w := range c.waysOut() {
		if l := c.ownListener(w.target.Hostname(), portOf(w.target)); l != "" {
			p.add(w.variable, "leads to %s, where cosproxy itself listens (%s): write the address of the server that it means", w.target.Host, l)
			continue
		}
		if !w.proxied {
			continue
		}
		// The proxy that requests will use, with NO_PROXY.
		proxy, err := http.ProxyFromEnvironment(&http.Request{URL: w.target})
		if err != nil || proxy == nil {
			continue
		}
		if l := c.ownListener(proxy.Hostname(), portOf(proxy)); l != "" {
			p.add(c.proxyVariables[w.target.Scheme], "leads to %s, where cosproxy itself listens (%s), so that its requests for %s would come back to it: "+
				"unset it for cosproxy, or add %[3]s to NO_PROXY", proxy.Host, l, w.target.Hostname())
		}
	}
}

// wayOut is a server that cosproxy connects to.
type wayOut struct {
	variable string // that names the server
	target   *url.URL
	proxied  bool // HTTP_PROXY and its like count
}

// waysOut are the servers that the settings lead to. Invalid URLs are left out,
// since validate has reported them.
func (c *resolved) waysOut() []wayOut {
	var ways []wayOut
	if c.ConnectTo != "" {
		ways = append(ways, wayOut{variable: variable("ConnectTo"), target: &url.URL{Scheme: "https", Host: c.ConnectTo}})
	}
	for _, r := range c.routes {
		if c.ConnectTo == "" && r.endpoint != nil {
			ways = append(ways, wayOut{variable("Endpoint"), r.endpoint, true})
		}
		field, address, proxied := "", "", true
		switch r.Source {
		case "sts", "role", "oidc":
			field, address = "STSEndpoint", c.Source.STSEndpoint
		case "http":
			field, address = "CredentialsURL", c.Source.CredentialsURL
		case "cvm":
			field, address, proxied = "CVMMetadataEndpoint", c.Source.CVMMetadataEndpoint, false
		}
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			ways = append(ways, wayOut{variable(field), u, proxied})
		}
	}
	return ways
}

// portOf is the port of u, or that of its scheme.
func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
}

// ownListener is the setting of the listener that a connection to host and port
// reaches; empty if it reaches none.
func (c *config) ownListener(host, port string) string {
	for field, a := range map[string]address{"Listen": c.Listen, "AdminListen": c.AdminListen} {
		if at, its, err := net.SplitHostPort(a.at); err == nil && a.network == "tcp" && its == port && isReached(at, host) {
			return variable(field) + "=" + a.String()
		}
	}
	return ""
}

// isReached reports whether a connection to host arrives where listen is listened
// on, at the same port. Names are compared and not looked up, but for localhost.
func isReached(listen, host string) bool {
	at, dialed := addressesOf(listen), addressesOf(host)
	if dialed == nil {
		name, _ := os.Hostname()
		everywhere := slices.ContainsFunc(at, netip.Addr.IsUnspecified)
		return strings.EqualFold(strings.TrimSuffix(host, "."), strings.TrimSuffix(listen, ".")) || everywhere && strings.EqualFold(host, name)
	}
	return slices.ContainsFunc(dialed, func(d netip.Addr) bool {
		switch d { // a connection to every address goes to this machine
		case netip.IPv4Unspecified():
			d = ipv4Loopback
		case netip.IPv6Unspecified():
			d = netip.IPv6Loopback()
		}
		return slices.ContainsFunc(at, func(a netip.Addr) bool {
			return a == d || a.IsUnspecified() && (a.Is6() || d.Is4()) && isOwnAddress(d)
		})
	})
}

var ipv4Loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// addressesOf is host as addresses; nil if it is a name of another machine.
func addressesOf(host string) []netip.Addr {
	switch name := strings.ToLower(strings.TrimSuffix(host, ".")); name {
	case "":
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	case "localhost":
		return []netip.Addr{ipv4Loopback, netip.IPv6Loopback()}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return []netip.Addr{addr.Unmap().WithZone("")}
}

// isOwnAddress reports whether d is an address of this machine.
func isOwnAddress(d netip.Addr) bool {
	if d.IsLoopback() {
		return true
	}
	own, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == d
	})
}
