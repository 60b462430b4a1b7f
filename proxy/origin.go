package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// checkOrigin refuses what a browser asks on behalf of another site, reads too:
// a page anywhere could otherwise use the sidecar of whoever looks at it. Clients
// that are no browsers send none of these headers (Fetch standard, "Origin
// header"; Fetch Metadata, "Sec-Fetch-Site").
func (g guard) checkOrigin(r *http.Request) error {
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "same-origin", "none":
		return nil
	case "":
		origins := r.Header["Origin"]
		if len(origins) == 0 || len(origins) == 1 && isOwnOrigin(r, origins[0]) {
			return nil
		}
	}
	if g.origins[originOf(r)] {
		return nil
	}
	return errorf(http.StatusForbidden, "AccessDenied",
		"A page of another site (Origin %q) asked for this, through a browser. If it may, add its origin to COSPROXY_ALLOWED_ORIGINS.",
		r.Header.Get("Origin"))
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

// isOwnOrigin reports whether a page that the sidecar itself served asks.
func isOwnOrigin(r *http.Request, origin string) bool {
	scheme, host, ok := strings.Cut(normalOrigin(origin), "://")
	return ok && (scheme == "http" || scheme == "https") && host == strings.TrimSuffix(strings.ToLower(r.Host), defaultPort(scheme))
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
