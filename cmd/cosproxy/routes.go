package main

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"cosproxy/credcache"
	"cosproxy/proxy"
)

// routeConfig holds the settings of one route. The variables are COSPROXY_BUCKET etc.
// for a single route, and COSPROXY_ROUTES_0_BUCKET etc. for several. An inherited
// setting falls back to the short form. A default is in the tag default, since package
// env would set an envDefault before that fallback.
type routeConfig struct {
	Bucket        string        `env:"BUCKET" required:"true" example:"examplebucket-1250000000" desc:"Bucket name, including the APPID."`
	Region        string        `env:"REGION" required:"true" inherited:"true" example:"ap-guangzhou" desc:"Region of the bucket."`
	AllowPrefixes list          `env:"ALLOW_PREFIXES" required:"true" example:"uploads/*,a.txt" desc:"Object keys that clients may access, comma-separated: 'uploads/*' matches every key that starts with 'uploads/', 'a.txt' matches that key only, '*' matches the whole bucket."`
	AllowActions  list          `env:"ALLOW_ACTIONS" required:"true" example:"read,upload" desc:"Actions that clients may perform, comma-separated: the presets 'read', 'list', 'upload', 'write', 'delete' and 'acl', COS actions such as 'name/cos:GetObject', or '*' for all."`
	PathPrefix    string        `env:"PATH_PREFIX" default:"/" desc:"Path prefix that selects this route; it is not part of the object key. The longest match wins. It does not apply to the COS host names of the bucket."`
	Hosts         list          `env:"HOSTS" example:"photos.internal" desc:"Host names that select this route, comma-separated, without ports. Default: every host that no other route claims."`
	ObjectPrefix  string        `env:"OBJECT_PREFIX" desc:"Prefix that is added to the path to form the object key, such as 'photos/'. 'ALLOW_PREFIXES' applies to the complete object key, so its entries start with this prefix. It does not apply to the COS host names of the bucket."`
	Dialect       string        `env:"DIALECT" inherited:"true" default:"cos" desc:"API of requests without a signature: 'cos', or 's3' with the bucket at the beginning of the path. Requests with an AWS signature, also of a dummy key, are S3 requests in any case."`
	Source        string        `env:"SOURCE" inherited:"true" default:"auto" desc:"Source of the credentials: 'static', 'sts', 'role', 'oidc', 'cvm', 'http' or 'file'. 'auto' selects the first of 'role', 'static', 'sts', 'file', 'http', 'cvm' and 'oidc' that is configured, once, at startup; with 'COSPROXY_ROLE_ARN' only 'role', 'cvm' and 'oidc'."`
	Duration      time.Duration `env:"DURATION" inherited:"true" default:"30m" example:"30m" desc:"Lifetime of the credentials to request from STS. Maximum: 36h with 'sts' (2h with the key pair of a root account), 12h with 'role', 'oidc' and a second role."`

	Callers list `env:"CALLERS" example:"team-a,system:serviceaccount:shop:uploader" desc:"For 'cosproxy issuer': callers that may use the route, comma-separated: names of files in 'COSPROXY_ISSUER_TOKENS_DIR', or service accounts as 'system:serviceaccount:namespace:name'. There are no wildcards."`

	name     string            // in log, metrics and messages
	settings string            // prefix of its variables
	names    map[string]string // field to the variable that set it
	auto     bool              // auto selected Source
	unused   []string          // configured sources that auto did not select
}

// scope returns the scope of the credentials of r.
func (r *routeConfig) scope() credcache.Scope {
	return credcache.Scope{Bucket: r.Bucket, Region: r.Region, AllowPrefixes: r.AllowPrefixes, AllowActions: r.AllowActions}
}

// validate checks one route on its own.
func (r *routeConfig) validate(p *problems) {
	r.validateRequired(p)
	p.addOptions(r.scope().Validate(), r.names)
	validateHosts(p, r.names["Hosts"], r.Hosts)
	if strings.HasPrefix(r.ObjectPrefix, "/") {
		p.add(r.names["ObjectPrefix"], "starts with a slash, unlike object keys; use %s", strings.TrimLeft(r.ObjectPrefix, "/"))
	} else if len(r.AllowPrefixes) > 0 && !r.reachable() {
		p.add(r.names["AllowPrefixes"], "allows no object key that starts with %s, which %s adds to every object key; add for example %[1]s*", r.ObjectPrefix, r.names["ObjectPrefix"])
	}
	if r.Dialect != proxy.DialectCOS && r.Dialect != proxy.DialectS3 {
		p.add(r.names["Dialect"], "%q is unknown; use %s or %s", r.Dialect, proxy.DialectCOS, proxy.DialectS3)
	}
	if slices.Contains(r.AllowPrefixes, "*") {
		p.warn("%s contains *: clients can access every object in the bucket", r.names["AllowPrefixes"])
	}
	if slices.Contains(r.AllowActions, "*") || slices.Contains(r.AllowActions, "name/cos:*") {
		p.warn("%s contains *: clients can perform every COS action, such as deleting objects and changing ACLs", r.names["AllowActions"])
	}
	if slices.Contains(r.AllowActions, "name/cos:GetService") {
		p.warn("%s contains name/cos:GetService: clients can list every bucket of the account", r.names["AllowActions"])
	}
}

func (r *routeConfig) validateRequired(p *problems) {
	missing := map[string]bool{
		"Bucket": r.Bucket == "", "Region": r.Region == "", "AllowPrefixes": len(r.AllowPrefixes) == 0, "AllowActions": len(r.AllowActions) == 0,
	}
	for _, s := range routeSettings(r.settings) {
		from := r.names[s.field]
		switch {
		case !s.required || !missing[s.field]:
			continue
		case s.variable == from:
			p.add(from, "is required (example: %s)", s.example)
		default:
			p.add(s.variable, "is required (example: %s); or set %s for all routes", s.example, from)
		}
		p.invalid[from] = true
	}
}

// reachable reports whether any object key that starts with ObjectPrefix is allowed.
func (r *routeConfig) reachable() bool {
	return slices.ContainsFunc(r.AllowPrefixes, func(prefix string) bool {
		stem, wild := strings.CutSuffix(prefix, "*")
		return strings.HasPrefix(stem, r.ObjectPrefix) || wild && strings.HasPrefix(r.ObjectPrefix, stem)
	})
}

// validateAddresses checks that hosts and path prefixes of the routes do not collide. It
// adds one route after the other to a proxy.
func (c *config) validateAddresses(p *problems) {
	var good []proxy.Route
	for _, r := range c.routeConfigs {
		// Only hosts and path prefix matter here; other fields have checks of their own.
		sample := proxy.Route{Name: r.name, PathPrefix: r.PathPrefix, Hosts: r.Hosts,
			Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Credentials: new(credcache.Provider)}
		good = append(good, sample)
		if _, err := proxy.New(proxy.Options{Routes: good}); err != nil {
			p.add(r.names["PathPrefix"], "is invalid: %s", strings.TrimPrefix(err.Error(), "proxy: "))
			good = good[:len(good)-1]
		}
	}
}

// route is one route to serve: its settings and the values that resolve derived.
type route struct {
	routeConfig
	endpoint *url.URL // of the bucket; nil if it is invalid
	actions  []string // AllowActions with presets expanded; nil if one is unknown
}

// bucketURL returns the URL of the bucket, or nil if a part of it is invalid.
func (r *routeConfig) bucketURL(endpoint string) *url.URL {
	u, err := proxy.Route{Bucket: r.Bucket, Region: r.Region, Endpoint: endpoint}.URL()
	if err != nil {
		return nil
	}
	return u
}

// proxyRoute returns r as a route of package proxy, without Credentials. endpoint is the
// value of the setting.
func (r *route) proxyRoute(endpoint string) proxy.Route {
	return proxy.Route{
		Name: r.name, PathPrefix: r.PathPrefix, Hosts: r.Hosts,
		Bucket: r.Bucket, Region: r.Region, Endpoint: endpoint, ObjectPrefix: r.ObjectPrefix,
		Dialect: r.Dialect, AllowActions: r.actions, AllowPrefixes: r.AllowPrefixes,
	}
}
