package cosemu

import (
	"net/http"
	"path"
	"strings"
)

// target is the raw request target, parsed from the request line and not from the URL
// of net/http, which interprets paths and queries in another way.
type target struct {
	// path is percent-decoded once, with its leading slash.
	path string
	// signedPath is the path for the signature: COS reads a raw "+" as a blank.
	signedPath string
	// query holds the parameters in the order of the request.
	query params
}

// key returns the object key: all bytes of the path after its first slash.
func (t target) key() string { return t.path[1:] }

// isCleanedToRoot reports whether the path is "/" after the removal of dot segments
// and double slashes. COS responds to GET of such a key with a listing.
func (t target) isCleanedToRoot() bool { return path.Clean(t.path) == "/" }

type param struct{ name, value string }

type params []param

func (ps params) has(name string) bool {
	for _, p := range ps {
		if p.name == name {
			return true
		}
	}
	return false
}

// get returns the first value of name, or "".
func (ps params) get(name string) string {
	for _, p := range ps {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// parseTarget reads a request target in origin form (/key?query) or absolute
// form (http://host/key?query).
func parseTarget(uri string) (target, error) {
	if scheme, rest, ok := strings.Cut(uri, "://"); ok && !strings.HasPrefix(uri, "/") && scheme != "" {
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			uri = rest[i:]
		} else {
			uri = "/"
		}
	}
	rawPath, rawQuery, _ := strings.Cut(uri, "?")
	if rawPath == "" {
		rawPath = "/"
	}
	decoded, ok := unescape(rawPath, false)
	if !ok || decoded[0] != '/' {
		return target{}, cosErrorf(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
	}
	signed, _ := unescape(rawPath, true)
	query, ok := parseQuery(rawQuery)
	if !ok {
		return target{}, cosErrorf(http.StatusBadRequest, "InvalidURI", "the query has a broken percent escape")
	}
	return target{path: decoded, signedPath: signed, query: query}, nil
}

// parseQuery splits a query at "&" only: ";" is data. "+" is a space, as the Go and
// Python SDKs expect. A parameter without "=" has the empty value.
func parseQuery(raw string) (params, bool) {
	if raw == "" {
		return nil, true
	}
	var ps params
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, okName := unescape(name, true)
		v, okValue := unescape(value, true)
		if !okName || !okValue {
			return nil, false
		}
		ps = append(ps, param{n, v})
	}
	return ps, true
}

// unescape decodes percent escapes once, and "+" to a space if plusIsSpace is set. It
// returns false for a broken escape.
func unescape(s string, plusIsSpace bool) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+' && plusIsSpace:
			out = append(out, ' ')
		case c != '%':
			out = append(out, c)
		default:
			if i+2 >= len(s) {
				return "", false
			}
			hi, okHi := hexDigit(s[i+1])
			lo, okLo := hexDigit(s[i+2])
			if !okHi || !okLo {
				return "", false
			}
			out = append(out, hi<<4|lo)
			i += 2
		}
	}
	return string(out), true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// hostPattern recognizes the hosts of the buckets of one region.
type hostPattern struct{ region string }

// bucket returns the bucket of a host name, with or without a port, or "" if host does
// not belong to a bucket of the region.
func (p hostPattern) bucket(host string) string {
	bucket, rest, _ := strings.Cut(plainHost(host), ".")
	for _, suffix := range []string{
		"cos." + p.region + ".myqcloud.com", "cos." + p.region + ".tencentcos.cn",
		"cos-internal." + p.region + ".myqcloud.com", "cos-internal." + p.region + ".tencentcos.cn",
		"cos.accelerate.myqcloud.com", "cos-internal.accelerate.tencentcos.cn",
	} {
		if rest == suffix {
			return bucket
		}
	}
	return ""
}

// service reports whether host is the service, which has a list of buckets and no
// objects.
func (p hostPattern) service(host string) bool {
	switch plainHost(host) {
	case "service.cos.myqcloud.com", "cos." + p.region + ".myqcloud.com", "cos." + p.region + ".tencentcos.cn":
		return true
	}
	return false
}

func plainHost(host string) string {
	name, _, _ := strings.Cut(host, ":")
	return strings.ToLower(name)
}
