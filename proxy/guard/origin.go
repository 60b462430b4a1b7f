package guard

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"cosproxy/proxy/internal/coserr"
)

// checkOrigin refuses requests that a browser sends on behalf of another site, reads
// too: any page could otherwise use the sidecar of its visitor. Other clients send none
// of these headers (Fetch standard, "Origin header"; Fetch Metadata, "Sec-Fetch-Site").
func (g *Guard) checkOrigin(r *Request) error {
	if !isCrossSite(r) || g.origins[originOf(r)] {
		return nil
	}
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"A page of another site (Origin %q) req for this, through a browser.", coserr.Host(first(r.Fields.Values("Origin")))).
		Try("If it may, add its origin to", coserr.Setting{Name: "AllowedOrigins"})
}

// AllowOrigin says how a page of an allowed site can read a response of the proxy's own
// (Fetch standard, "CORS protocol"): vary asks for Vary: Origin, origin, if it is not
// empty, is the value of Access-Control-Allow-Origin. COS's responses have what the
// bucket's CORS rules say.
func (g *Guard) AllowOrigin(fields Fields) (vary bool, origin string) {
	if len(g.origins) == 0 {
		return false, ""
	}
	if origins := fields.Values("Origin"); len(origins) == 1 && g.origins[normalizeOrigin(origins[0])] {
		origin = origins[0]
	}
	return true, origin
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// isCrossSite reports whether a browser says that another site than this one is
// behind the request: in Sec-Fetch-Site, or, if it is old, in Origin alone.
func isCrossSite(r *Request) bool {
	for _, site := range r.Fields.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	origins := r.Fields.Values("Origin")
	return len(origins) > 1 || len(origins) == 1 && normalizeOrigin(origins[0]) != ownOrigin(r)
}

// originOf is the site that a browser names. Where it leaves Origin out, as with
// pictures, it is taken from Referer.
func originOf(r *Request) string {
	if origins := r.Fields.Values("Origin"); len(origins) > 0 {
		if len(origins) > 1 {
			return ""
		}
		return normalizeOrigin(origins[0])
	}
	return normalizeOrigin(first(r.Fields.Values("Referer")))
}

// ownOrigin is the site that pages of the sidecar's own have. Without a Host
// there is none, and it equals no Origin.
func ownOrigin(r *Request) string {
	scheme := "http"
	switch {
	case r.Scheme != "":
		scheme = r.Scheme
	case r.Secure:
		scheme = "https"
	}
	return cmp.Or(normalizeOrigin(scheme+"://"+r.Host), "none")
}

// normalizeOrigin is the scheme, host and port of a URL in one spelling, and empty
// for what has none, such as null.
func normalizeOrigin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), defaultPort(scheme))
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return ":80"
	case "https":
		return ":443"
	}
	return ""
}
