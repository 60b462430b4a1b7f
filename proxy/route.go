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

// Route leads from local addresses to one bucket. It has the allowed actions and object
// keys and the credentials for them.
type Route struct {
	// Name is the name of the route in logs and metrics. Empty means default.
	Name string
	// PathPrefix is the path prefix that selects the route. It is stripped from the
	// object key: with /photos/, the path /photos/a.jpg means the object key a.jpg. It
	// begins and ends with a slash; empty means /. The longest match wins.
	PathPrefix string
	// Hosts are the Host names that select the route, without ports. Empty means every
	// accepted name that no other route lists. The host of the endpoint, unless it is
	// loopback, and the names in COSHosts always select this bucket; then the path is
	// the object key, and PathPrefix and ObjectPrefix do not apply.
	Hosts []string
	// Bucket is the full name with APPID, such as examplebucket-1250000000.
	Bucket string
	// Region is the COS region, such as ap-guangzhou.
	Region string
	// Endpoint is the URL template of the bucket's host, in which {bucket} and
	// {region} are replaced. Empty means DefaultEndpoint. It has no path.
	Endpoint string
	// ObjectPrefix is prepended to the object key in the path and to the prefix of
	// listings. Object keys in bodies and responses stay as they are. Empty adds nothing.
	ObjectPrefix string
	// AllowActions are the allowed COS actions, such as name/cos:GetObject. A final *
	// allows every action with that prefix. Empty allows no action.
	AllowActions []string
	// AllowPrefixes are the allowed object keys, ObjectPrefix included: dir/* allows
	// object keys that begin with dir/, a.txt allows only that object key, * all of them.
	// Empty allows none.
	AllowPrefixes []string
	// Dialect is the dialect of requests without a signature, DialectCOS or DialectS3.
	// Empty means DialectCOS. A signature determines the dialect of its request.
	Dialect string
	// Credentials provides the credentials of the route. Required.
	Credentials Credentials
}

// The dialects of a request: the XML API of COS, or S3, which COS supports in part. An S3
// request names its bucket in Host or at the beginning of its path.
const (
	DialectCOS = "cos"
	DialectS3  = "s3"
)

// DefaultEndpoint is the public address of a bucket (COS document "Regions and
// access domain names").
const DefaultEndpoint = "https://{bucket}.cos.{region}.myqcloud.com"

// COSHosts returns the host names of the bucket at COS. Requests to any of them go to the
// endpoint of the route, without PathPrefix and ObjectPrefix.
func (rt Route) COSHosts() []string { return cosreq.BucketHosts(rt.Bucket, rt.Region) }

// URL returns the endpoint with its placeholders replaced. It returns an error if that is
// not an http or https URL of scheme, host and port.
func (rt Route) URL() (*url.URL, error) {
	template := rt.Endpoint
	if template == "" {
		template = DefaultEndpoint
	}
	if strings.Contains(template, "@") { // the message omits the template: it may contain a password
		return nil, errors.New("proxy: the endpoint must not contain a user; give only scheme, host and port")
	}
	text := strings.NewReplacer("{bucket}", rt.Bucket, "{region}", rt.Region).Replace(template)
	u, err := url.Parse(text)
	switch {
	case strings.ContainsAny(text, "{}"):
		return nil, fmt.Errorf("proxy: endpoint %q has an unknown placeholder; only {bucket} and {region} are replaced", template)
	case err != nil:
		return nil, errors.New("proxy: the endpoint is not a URL; give scheme, host and port")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("proxy: endpoint %q must begin with https:// or http://", template)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("proxy: the host of endpoint %q is not printable ASCII; write it in Punycode", template)
	case u.Hostname() == "":
		return nil, fmt.Errorf("proxy: endpoint %q has no host; give scheme, host and port", template)
	case !isPort(u.Port()):
		return nil, fmt.Errorf("proxy: the port of endpoint %q is not between 1 and 65535; correct it, or omit it for the default port", template)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("proxy: the endpoint has a path or query; give only scheme, host and port")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// isPort reports whether a port can be dialed. "" means the default port of the scheme.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// route is a validated Route with its state.
type route struct {
	Route
	endpoint    *url.URL
	upstream    *upstream
	spare       *spareHost // nil: there is none
	signer      signer.Signer
	s3signer    signer.S3Signer
	clockOffset atomic.Int64 // COS's clock minus the local clock, in nanoseconds
	budget      *retryBudget
}

func newRoute(r Route) (*route, error) {
	r.Name = cmp.Or(r.Name, "default")
	r.PathPrefix = cmp.Or(r.PathPrefix, "/")
	switch {
	case r.Bucket == "" || r.Region == "":
		return nil, errors.New("proxy: Route.Bucket or Route.Region is empty; set both, such as examplebucket-1250000000 and ap-guangzhou")
	case r.Dialect != "" && r.Dialect != DialectCOS && r.Dialect != DialectS3:
		return nil, fmt.Errorf("proxy: Route.Dialect %q is unknown; set cos or s3", r.Dialect)
	case r.Credentials == nil:
		return nil, errors.New("proxy: Route.Credentials is nil; set it, for example to a Provider of package credcache")
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

// offset returns COS's clock minus the local clock.
func (rt *route) offset() time.Duration { return time.Duration(rt.clockOffset.Load()) }

// setting names a field of the route for error messages.
func (rt *route) setting(name string) Setting { return Setting{Route: rt.Name, Name: name} }

// checkPathPrefix rejects a prefix that percent-encoding or path cleaning would change,
// so that requests can write it in one way only.
func checkPathPrefix(p string) error {
	if !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/") || p != "/" && path.Clean(p)+"/" != p {
		return fmt.Errorf("proxy: path prefix %q must begin and end with a slash and have no empty, . or .. segments; write it like /photos/", p)
	}
	for _, c := range []byte(p) {
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alphanumeric && c != '/' && c != '-' && c != '_' && c != '.' && c != '~' {
			return fmt.Errorf("proxy: path prefix %q has a character other than letters, digits, slashes and - _ . ~; choose another prefix", p)
		}
	}
	return nil
}

// allowsAction reports whether the route allows the action.
func (rt *route) allowsAction(action string) bool { return cosreq.MatchAny(rt.AllowActions, action) }

// allowsAllActions reports whether the route allows all actions, including those without
// a documented name.
func (rt *route) allowsAllActions() bool { return rt.allowsAction(cosreq.AnyAction) }

// allowsKey reports whether the route allows the object key. COS does not document what
// it does with . and .. segments, so a key with such segments, between slashes of either
// kind, must be allowed both as it is and after path cleaning.
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

// allowsAllKeys reports whether the route allows every object key.
func (rt *route) allowsAllKeys() bool { return cosreq.CoverAny(rt.AllowPrefixes, "") }

// allowsListing reports whether the route allows all object keys that q lists. COS may
// use any of several prefix parameters, so each must be allowed.
func (rt *route) allowsListing(q cosreq.Query) bool {
	for _, p := range q.Params {
		if p.Key == "prefix" && !cosreq.CoverAny(rt.AllowPrefixes, p.Value) {
			return false
		}
	}
	return cosreq.CoverAny(rt.AllowPrefixes, q.Get("prefix"))
}

// mayListBuckets reports whether the route allows GetService, by that name or as part of
// all actions on all object keys. The policy of its credentials has the same rule.
func (rt *route) mayListBuckets() bool {
	return slices.Contains(rt.AllowActions, cosreq.GetService) || rt.allowsAction(cosreq.GetService) && rt.allowsAllKeys()
}
