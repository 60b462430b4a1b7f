package guard

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"cosproxy/proxy/internal/coserr"
)

// checkOrigin rejects cross-site requests of browsers, including reads. Otherwise any page
// could use the sidecar of its visitor. Only browsers send these headers (Fetch standard,
// "Origin header"; Fetch Metadata, "Sec-Fetch-Site").
func (g *Guard) checkOrigin(r *Request) error {
	if !isCrossSite(r) || g.origins[originOf(r)] {
		return nil
	}
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"cosproxy rejects cross-site browser requests (Origin %q).", coserr.Host(first(r.Fields.Values("Origin")))).
		Try("To allow this origin, add it to", coserr.Setting{Name: "AllowedOrigins"})
}

// AllowOrigin returns the CORS headers that let a page of an allowed origin read a proxy
// error (Fetch standard, "CORS protocol"): if vary is true, send Vary: Origin; if origin is
// not empty, send it as Access-Control-Allow-Origin. In COS's responses the CORS rules of
// the bucket decide.
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

// isCrossSite reports whether the request is a cross-site request of a browser, by
// Sec-Fetch-Site, or by Origin in old browsers.
func isCrossSite(r *Request) bool {
	for _, site := range r.Fields.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	origins := r.Fields.Values("Origin")
	return len(origins) > 1 || len(origins) == 1 && normalizeOrigin(origins[0]) != ownOrigin(r)
}

// originOf returns the origin of the page that sent the request. For requests without
// Origin, such as those for pictures, it is the origin of Referer.
func originOf(r *Request) string {
	if origins := r.Fields.Values("Origin"); len(origins) > 0 {
		if len(origins) > 1 {
			return ""
		}
		return normalizeOrigin(origins[0])
	}
	return normalizeOrigin(first(r.Fields.Values("Referer")))
}

// ownOrigin returns the origin of pages that the proxy itself serves. Without a Host it
// returns "none", which no Origin equals.
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

// normalizeOrigin returns scheme, host and port of a URL in lower case and without a
// default port. It returns "" for other text, such as null.
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
