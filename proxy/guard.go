package proxy

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard decides who may ask.
type guard struct {
	hosts   map[string]bool // lower case, without port
	origins map[string]bool // as normalOrigin spells them
	token   Token           // nil: none is wanted
}

func newGuard(hosts, origins []string, token Token) guard {
	g := guard{hosts: make(map[string]bool, len(hosts)), origins: make(map[string]bool, len(origins)), token: token}
	for _, o := range origins {
		if origin := normalOrigin(o); origin != "" {
			g.origins[origin] = true
		}
	}
	for _, h := range hosts {
		g.hosts[hostname(h)] = true
	}
	return g
}

func (g guard) check(r *http.Request) error {
	if err := g.checkHost(r); err != nil {
		return err
	}
	if err := g.checkOrigin(r); err != nil {
		return err
	}
	return g.checkToken(r)
}

// checkHost holds off DNS rebinding. A browser that was led to localhost by a
// rebound name still sends that name as Host, so a Host that is neither loopback
// nor expected is refused with 421 (RFC 9110, 15.5.20).
func (g guard) checkHost(r *http.Request) error {
	name := hostname(r.Host)
	if _, unix := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); unix && r.URL.Host == "" {
		return nil // no name leads a browser there, and none was asked of a proxy
	}
	if name == "" || g.answersTo(r, name) {
		return nil
	}
	return misdirected(r.Host)
}

// answersTo reports whether name, as hostname spells it, is one of ours.
func (g guard) answersTo(r *http.Request, name string) bool {
	return isLoopback(name) || g.hosts[name] || isOwnAddress(r, name)
}

// Guard answers 421 to every request whose Host is neither loopback nor one of
// hosts, 403 to those of browsers for a site that is neither this one nor one of
// origins, 401 or 407 to those without the token unless it is nil, and hands the others
// to h. It protects handlers beside New's, such as an admin page.
func Guard(h http.Handler, hosts, origins []string, token Token) http.Handler {
	g := newGuard(hosts, origins, token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var refusal *Error
		if errors.As(g.check(r), &refusal) {
			g.letOriginRead(w.Header(), r)
			refusal.write(w, r, newRequestID())
			return
		}
		h.ServeHTTP(w, r)
	})
}

func isLoopback(name string) bool {
	if name == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.IsLoopback()
}

// isOwnAddress reports whether name is the IP address that the client connected
// to, as probes address a pod. Rebinding needs a name, so an address is safe.
func isOwnAddress(r *http.Request, name string) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap() == local.AddrPort().Addr().Unmap()
}

// hostname is the name in a Host in one spelling: lower case, without the port,
// the brackets of an IPv6 literal and the dot that ends an absolute name. What is
// behind its colon and no port stays, so that nobody knows the name.
func hostname(hostport string) string {
	name := hostport
	if strings.Contains(name, ":") {
		host, port, err := net.SplitHostPort(name)
		if err == nil && strings.Trim(port, "0123456789") == "" {
			name = host
		} else if inner, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inner, "]") {
			name = strings.TrimSuffix(inner, "]")
		}
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}
