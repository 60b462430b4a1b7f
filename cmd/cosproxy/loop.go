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

// resolveLoops reports settings by which cosproxy would send requests to one of its own
// listeners. Package proxy detects loops through listeners whose address is not known yet.
func (c *resolved) resolveLoops(p *problems) {
	for _, d := range c.destinations() {
		if l := c.ownListener(d.target.Hostname(), portOf(d.target)); l != "" {
			p.add(d.variable, "leads to %s, which is a listener of cosproxy itself (%s); use the address of the server", d.target.Host, l)
			continue
		}
		if !d.proxied {
			continue
		}
		// This takes NO_PROXY into account.
		proxy, err := http.ProxyFromEnvironment(&http.Request{URL: d.target})
		if err != nil || proxy == nil {
			continue
		}
		if l := c.ownListener(proxy.Hostname(), portOf(proxy)); l != "" {
			p.add(c.proxyVariables[d.target.Scheme], "leads to %s, which is a listener of cosproxy itself (%s), so requests to %s would loop; "+
				"unset it for cosproxy, or add %[3]s to NO_PROXY", proxy.Host, l, d.target.Hostname())
		}
	}
}

// destination is a server that cosproxy connects to.
type destination struct {
	variable string // the setting
	target   *url.URL
	proxied  bool // HTTP_PROXY etc. apply
}

// destinations returns the servers in the settings, without invalid URLs, which validate
// has reported.
func (c *resolved) destinations() []destination {
	var all []destination
	if c.ConnectTo != "" {
		all = append(all, destination{variable: variable("ConnectTo"), target: &url.URL{Scheme: "https", Host: c.ConnectTo}})
	}
	for _, r := range c.routes {
		if c.ConnectTo == "" && r.endpoint != nil {
			all = append(all, destination{variable("Endpoint"), r.endpoint, true})
		}
		add := func(field, address string, proxied bool) {
			if u, err := url.Parse(address); err == nil && u.Host != "" {
				all = append(all, destination{variable(field), u, proxied})
			}
		}
		switch r.Source {
		case "sts", "role", "oidc":
			add("STSEndpoint", c.Source.STSEndpoint, true)
		case "http":
			add("CredentialsURL", c.Source.CredentialsURL, true)
		case "cvm":
			add("CVMMetadataEndpoint", c.Source.CVMMetadataEndpoint, false)
			if c.Source.chained(r.Source) {
				add("STSEndpoint", c.Source.STSEndpoint, true)
			}
		}
	}
	return all
}

// portOf returns the port of u, or the default port of its scheme.
func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
}

// ownListener returns the setting of the listener that a connection to host and port
// reaches, or "".
func (c *config) ownListener(host, port string) string {
	for _, l := range c.listenSettings() {
		if at, its, err := net.SplitHostPort(l.at); err == nil && l.network == "tcp" && its == port && isReached(at, host) {
			return variable(l.field) + "=" + l.String()
		}
	}
	return ""
}

// isReached reports whether a connection to host reaches a listener on the host listen, at
// the same port. Host names other than localhost are compared without a lookup.
func isReached(listen, host string) bool {
	at, dialed := addressesOf(listen), addressesOf(host)
	if dialed == nil {
		name, _ := os.Hostname()
		everywhere := slices.ContainsFunc(at, netip.Addr.IsUnspecified)
		return strings.EqualFold(strings.TrimSuffix(host, "."), strings.TrimSuffix(listen, ".")) || everywhere && strings.EqualFold(host, name)
	}
	return slices.ContainsFunc(dialed, func(d netip.Addr) bool {
		switch d { // connecting to an unspecified address reaches this machine
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

// addressesOf returns the addresses of host, or nil if it is a name that needs a lookup.
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
