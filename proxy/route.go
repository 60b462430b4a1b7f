package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cosproxy/proxy/internal/cosreq"
	"cosproxy/signer"
)

// Route leads from local addresses to one bucket, and says what may be done
// there with which credentials.
type Route struct {
	// Name is how the log and the metrics call the route. Empty means default.
	Name string
	// PathPrefix is the part of the path that selects the route and is not part
	// of the key: with /photos/ the path /photos/a.jpg is the key a.jpg. It
	// begins and ends with a slash; empty means /. The longest one that fits a
	// request wins.
	PathPrefix string
	// Hosts are the Host names that select the route, without ports. Empty
	// means every name that the proxy accepts and no other route claims.
	// The host of the endpoint, unless it is a loopback one, and the names that
	// COS has for the bucket, as COSHosts lists them, always mean this bucket,
	// and then neither PathPrefix nor ObjectPrefix applies: the path is the key.
	Hosts []string
	// Bucket is the full name with APPID, such as examplebucket-1250000000.
	Bucket string
	// Region is the COS region, such as ap-guangzhou.
	Region string
	// Endpoint is the URL template of the bucket's host, in which {bucket} and
	// {region} are replaced. Empty means DefaultEndpoint. It has no path.
	Endpoint string
	// ObjectPrefix is put in front of the key in the path, and of the prefix of
	// listings. Keys inside bodies and responses are those of the bucket.
	ObjectPrefix string
	// AllowActions are the COS actions that are allowed, written name/cos:GetObject;
	// one that ends in * allows every action with that beginning.
	AllowActions []string
	// AllowPrefixes limit the object keys, ObjectPrefix included: dir/* allows what
	// begins with dir/, a name without * allows that key alone, * every key.
	AllowPrefixes []string
	// Credentials hands out the route's credentials. Required.
	Credentials Credentials
}

// DefaultEndpoint is the public address of a bucket (COS document "Regions and
// access domain names").
const DefaultEndpoint = "https://{bucket}.cos.{region}.myqcloud.com"

// COSHosts are the names under which COS itself has the bucket. All of them lead
// to the route's endpoint, with neither PathPrefix nor ObjectPrefix.
func (rt Route) COSHosts() []string { return cosreq.BucketHosts(rt.Bucket, rt.Region) }

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

// isPort reports whether a port can be dialed. "" is the one of the scheme.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// route is a Route that is ready for requests.
type route struct {
	Route
	endpoint    *url.URL
	upstream    *upstream
	signer      signer.Signer
	clockOffset atomic.Int64 // of COS's clock from ours, in nanoseconds
	budget      *retryBudget
}

func newRoute(r Route) (*route, error) {
	r.Name = cmp.Or(r.Name, "default")
	r.PathPrefix = cmp.Or(r.PathPrefix, "/")
	switch {
	case r.Bucket == "" || r.Region == "":
		return nil, errors.New("proxy: a route needs a bucket and a region")
	case r.Credentials == nil:
		return nil, errors.New("proxy: Route.Credentials is missing")
	}
	if err := checkPathPrefix(r.PathPrefix); err != nil {
		return nil, err
	}
	endpoint, err := r.URL()
	if err != nil {
		return nil, err
	}
	r.Hosts = slices.Clone(r.Hosts)
	for i, h := range r.Hosts {
		r.Hosts[i] = cosreq.Hostname(h)
	}
	return &route{Route: r, endpoint: endpoint, budget: newRetryBudget()}, nil
}

// offset is how far COS's clock is ahead of ours.
func (rt *route) offset() time.Duration { return time.Duration(rt.clockOffset.Load()) }

// setting names a field of the route, for messages.
func (rt *route) setting(name string) Setting { return Setting{Route: rt.Name, Name: name} }

// checkPathPrefix wants a prefix that looks the same escaped and unescaped, so
// that there is one way only to write it in a request.
func checkPathPrefix(p string) error {
	if !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/") || p != "/" && path.Clean(p)+"/" != p {
		return fmt.Errorf("proxy: path prefix %q must begin and end with a slash and be clean, such as /photos/", p)
	}
	for _, c := range []byte(p) {
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alphanumeric && c != '/' && c != '-' && c != '_' && c != '.' && c != '~' {
			return fmt.Errorf("proxy: path prefix %q may have letters, digits, - _ . ~ and slashes only", p)
		}
	}
	return nil
}

// allowsAction reports whether the route allows the action.
func (rt *route) allowsAction(action string) bool { return cosreq.MatchAny(rt.AllowActions, action) }

// allowsAllActions reports whether all actions are allowed, those without a
// documented name too.
func (rt *route) allowsAllActions() bool { return rt.allowsAction(cosreq.AnyAction) }

// allowsKey reports whether the route's prefixes allow the key. One with . or ..
// between slashes of either kind must be allowed as it is and as it would be
// without them: what COS makes of them is not documented.
func (rt *route) allowsKey(key string) bool {
	if !cosreq.MatchAny(rt.AllowPrefixes, key) {
		return false
	}
	if strings.IndexByte(key, '.') < 0 {
		return true
	}
	slashed := strings.ReplaceAll(key, `\`, "/")
	for segment := range strings.SplitSeq(slashed, "/") {
		if segment == "." || segment == ".." {
			return cosreq.MatchAny(rt.AllowPrefixes, path.Clean("/" + slashed)[1:])
		}
	}
	return true
}

// allowsAllKeys reports whether every key is allowed.
func (rt *route) allowsAllKeys() bool { return cosreq.CoverAny(rt.AllowPrefixes, "") }

// allowsListing reports whether all keys that q lists are allowed. If it has
// several prefixes, each must be, since COS may go by any of them.
func (rt *route) allowsListing(q cosreq.Query) bool {
	for _, p := range q.Params {
		if p.Key == "prefix" && !cosreq.CoverAny(rt.AllowPrefixes, p.Value) {
			return false
		}
	}
	return cosreq.CoverAny(rt.AllowPrefixes, q.Get("prefix"))
}

// mayListBuckets reports whether the route allows GetService: written out, or as
// part of all actions on all keys, as the policy of its credentials has it.
func (rt *route) mayListBuckets() bool {
	return slices.Contains(rt.AllowActions, cosreq.GetService) || rt.allowsAction(cosreq.GetService) && rt.allowsAllKeys()
}
