package proxy

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

// checkOrigin refuses what a browser asks on behalf of another site, reads too:
// a page anywhere could otherwise use the sidecar of whoever looks at it. Clients
// that are no browsers send none of these headers (Fetch standard, "Origin
// header"; Fetch Metadata, "Sec-Fetch-Site").
func (g guard) checkOrigin(r *http.Request) error {
	if !isForeign(r) || g.origins[originOf(r)] {
		return nil
	}
	return errorf(http.StatusForbidden, "AccessDenied",
		"A page of another site (Origin %q) asked for this, through a browser. If it may, add its origin to COSPROXY_ALLOWED_ORIGINS.",
		hostOf(r.Header.Get("Origin")))
}

// letOriginRead lets a page of an allowed site read an answer of the proxy's own
// (Fetch standard, "CORS protocol"). What COS answers carries what the bucket's CORS
// rules say.
func (g guard) letOriginRead(h http.Header, r *http.Request) {
	if len(g.origins) == 0 {
		return
	}
	h.Set("Vary", "Origin")
	if origins := r.Header["Origin"]; len(origins) == 1 && g.origins[normalOrigin(origins[0])] {
		h.Set("Access-Control-Allow-Origin", origins[0])
	}
}

// isForeign reports whether a browser says that another site than this one is
// behind the request: in Sec-Fetch-Site, or, if it is old, in Origin alone.
func isForeign(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	origins := r.Header["Origin"]
	return len(origins) > 1 || len(origins) == 1 && normalOrigin(origins[0]) != ownOrigin(r)
}

// originOf is the site that a browser names. Where it leaves Origin out, as with
// pictures, it is taken from Referer.
func originOf(r *http.Request) string {
	if origins := r.Header["Origin"]; len(origins) > 0 {
		if len(origins) > 1 {
			return ""
		}
		return normalOrigin(origins[0])
	}
	return normalOrigin(r.Header.Get("Referer"))
}

// ownOrigin is the site that pages of the sidecar's own have. Without a Host
// there is none, and it equals no Origin.
func ownOrigin(r *http.Request) string {
	scheme := "http"
	switch {
	case r.URL.IsAbs():
		scheme = r.URL.Scheme
	case isSecure(r):
		scheme = "https"
	}
	return cmp.Or(normalOrigin(scheme+"://"+r.Host), "none")
}

// normalOrigin is the scheme, host and port of a URL in one spelling, and empty
// for what has none, such as null.
func normalOrigin(text string) string {
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
