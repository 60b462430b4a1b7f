package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// Route leads from local addresses to one bucket, and says what may be done
// there with which key.
type Route struct {
	// Name is how the log and the metrics call the route. Empty means default.
	Name string
	// PathPrefix is the part of the path that chooses the route and is not part
	// of the key: with /photos/ the path /photos/a.jpg is the key a.jpg. It
	// begins and ends with a slash; empty means /. The longest one that fits a
	// request wins.
	PathPrefix string
	// Hosts are the Host names that choose the route, without ports. Empty
	// means every name that the proxy answers to and no other route claims.
	// The host of the endpoint, unless it is a loopback one, and the names that
	// COS has for the bucket, as COSHosts lists them, always mean this bucket,
	// and then neither PathPrefix nor KeyPrefix applies: the path is the key.
	Hosts []string
	// Bucket is the full name with APPID, such as examplebucket-1250000000.
	Bucket string
	// Region is the COS region, such as ap-guangzhou.
	Region string
	// Endpoint is the URL template of the bucket's host, in which {bucket} and
	// {region} are replaced. Empty means DefaultEndpoint. It has no path.
	Endpoint string
	// KeyPrefix is put in front of the key in the path, and of the prefix of
	// listings. Keys inside bodies and answers are those of the bucket.
	KeyPrefix string
	// Actions are the COS actions that may pass, written name/cos:GetObject;
	// one that ends in * allows every action with that beginning.
	Actions []string
	// Prefixes limit the object keys, KeyPrefix included: dir/* allows what
	// begins with dir/, a name without * allows that key alone, * every key.
	Prefixes []string
	// Credentials hands out the route's key. Required.
	Credentials Credentials
	// Settings is what the names of the route's settings begin with, in
	// messages that say what to change. Empty means COSPROXY_.
	Settings string
}

// DefaultEndpoint is the public address of a bucket (COS document "Regions and
// access domain names").
const DefaultEndpoint = "https://{bucket}.cos.{region}.myqcloud.com"

// URL returns the expanded endpoint. It fails if that is not a plain http or
// https URL.
func (rt Route) URL() (*url.URL, error) {
	template := rt.Endpoint
	if template == "" {
		template = DefaultEndpoint
	}
	if strings.Contains(template, "@") { // it is not repeated: there may be a password in it
		return nil, errors.New("proxy: an endpoint may not have a user; give a scheme, a host and a port")
	}
	text := strings.NewReplacer("{bucket}", rt.Bucket, "{region}", rt.Region).Replace(template)
	u, err := url.Parse(text)
	switch {
	case strings.ContainsAny(text, "{}"):
		return nil, fmt.Errorf("proxy: endpoint %q has an unknown placeholder; only {bucket} and {region} are replaced", template)
	case err != nil:
		return nil, errors.New("proxy: the endpoint is not a URL; give a scheme, a host and a port")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("proxy: endpoint %q must begin with https:// or http://", template)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("proxy: the host of endpoint %q is not ASCII; write it in punycode", template)
	case u.Hostname() == "":
		return nil, fmt.Errorf("proxy: endpoint %q has no host", template)
	case !isPort(u.Port()):
		return nil, fmt.Errorf("proxy: the port of endpoint %q is not between 1 and 65535", template)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("proxy: an endpoint may only have a scheme, a host and a port, and no path or query")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// isPort reports whether a port can be dialled. "" is the one of the scheme.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// coversKey reports whether the route's prefixes allow the key. One with . or ..
// between slashes of either kind must be allowed as it is and as it would be
// without them: what COS makes of them is not documented.
func (rt Route) coversKey(key string) bool {
	if !rt.coversLiterally(key) {
		return false
	}
	slashed := strings.ReplaceAll(key, `\`, "/")
	for segment := range strings.SplitSeq(slashed, "/") {
		if segment == "." || segment == ".." {
			return rt.coversLiterally(path.Clean("/" + slashed)[1:])
		}
	}
	return true
}

func (rt Route) coversLiterally(key string) bool {
	for _, p := range rt.Prefixes {
		if stem, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(key, stem) || key == p {
			return true
		}
	}
	return false
}

// coversListing reports whether all keys that q lists are allowed. If it has
// several prefixes, each must be, since COS may go by any of them.
func (rt Route) coversListing(q query) bool {
	for _, p := range q.params {
		if p.key == "prefix" && !rt.coversPrefix(p.value) {
			return false
		}
	}
	return rt.coversPrefix(q.get("prefix"))
}

// coversPrefix reports whether all keys that begin with prefix are allowed.
func (rt Route) coversPrefix(prefix string) bool {
	for _, p := range rt.Prefixes {
		if stem, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(prefix, stem) {
			return true
		}
	}
	return false
}

// coversAction reports whether the route allows the action.
func (rt Route) coversAction(action string) bool {
	for _, a := range rt.Actions {
		if stem, ok := strings.CutSuffix(a, "*"); ok && strings.HasPrefix(action, stem) || action == a {
			return true
		}
	}
	return false
}
