package main

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"cosproxy/credcache"
	"cosproxy/proxy"
)

// routeConfig are the settings of one route: as COSPROXY_BUCKET and so on where
// there is one, as COSPROXY_ROUTES_0_BUCKET and so on where there are several.
// What is inherited falls back to the short name. A default has a tag of
// its own, since env would fill it in first.
type routeConfig struct {
	Bucket        string        `env:"BUCKET" required:"true" example:"examplebucket-1250000000" desc:"The bucket, with its APPID."`
	Region        string        `env:"REGION" required:"true" inherited:"true" example:"ap-guangzhou" desc:"The region of the bucket."`
	AllowPrefixes list          `env:"ALLOW_PREFIXES" required:"true" example:"uploads/*,a.txt" desc:"The object keys that may be touched, comma-separated: 'uploads/*' is all that begins with 'uploads/', 'a.txt' is that one key, '*' is the whole bucket."`
	AllowActions  list          `env:"ALLOW_ACTIONS" required:"true" example:"read,upload" desc:"What may be done with them, comma-separated: 'read', 'list', 'upload', 'write', 'delete', 'acl', COS actions such as 'name/cos:GetObject', or '*' for all."`
	PathPrefix    string        `env:"PATH_PREFIX" default:"/" desc:"What the path of a request begins with to come here; it is not part of the object key. The longest that fits wins."`
	Hosts         list          `env:"HOSTS" example:"photos.internal" desc:"Names in Host that come here, comma-separated, without ports; by default all that no other route has."`
	ObjectPrefix  string        `env:"OBJECT_PREFIX" desc:"What is put before the path to make the object key, such as 'photos/'. 'ALLOW_PREFIXES' has to include it."`
	Source        string        `env:"SOURCE" inherited:"true" default:"auto" desc:"Where keys come from: 'static', 'sts', 'role', 'oidc', 'cvm', 'http', 'file'; or 'auto' for the first of 'role', 'static', 'sts', 'file', 'http', 'cvm', 'oidc' that is configured, which is pinned."`
	Duration      time.Duration `env:"DURATION" inherited:"true" default:"30m" example:"30m" desc:"Life of the keys to ask of STS: at most 36h with 'sts', or 2h with the pair of a root account, and 12h with 'role' and 'oidc'."`

	name     string            // in log, metrics and messages
	settings string            // what the names of its variables begin with
	names    map[string]string // the variable that each field came from
	auto     bool              // Source was chosen by auto
	unused   []string          // sources that are configured and that auto did not choose
}

// scope is what the credentials of r are asked for.
func (r *routeConfig) scope() credcache.Scope {
	return credcache.Scope{Bucket: r.Bucket, Region: r.Region, AllowPrefixes: r.AllowPrefixes, AllowActions: r.AllowActions}
}

// validate checks one route by itself.
func (r *routeConfig) validate(p *problems) {
	r.validateRequired(p)
	p.addOptions(r.scope().Validate(), r.names)
	validateHosts(p, r.names["Hosts"], r.Hosts)
	if strings.HasPrefix(r.ObjectPrefix, "/") {
		p.add(r.names["ObjectPrefix"], "begins with a slash, which object keys do not: write %s", strings.TrimLeft(r.ObjectPrefix, "/"))
	} else if len(r.AllowPrefixes) > 0 && !r.reachable() {
		p.add(r.names["AllowPrefixes"], "has no key that begins with %s, which %s puts before every key: write for example %[1]s*", r.ObjectPrefix, r.names["ObjectPrefix"])
	}
	if slices.Contains(r.AllowPrefixes, "*") {
		p.warn("%s has *: applications can touch every object in the bucket", r.names["AllowPrefixes"])
	}
	if slices.Contains(r.AllowActions, "*") || slices.Contains(r.AllowActions, "name/cos:*") {
		p.warn("%s has *: applications can do all that COS offers, such as deleting objects and changing ACLs", r.names["AllowActions"])
	}
	if slices.Contains(r.AllowActions, "name/cos:GetService") {
		p.warn("%s has name/cos:GetService: applications can list every bucket of the account", r.names["AllowActions"])
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
			p.add(from, "is required: write for example %s", s.example)
		default:
			p.add(s.variable, "is required: write for example %s, or set %s for all routes", s.example, from)
		}
		p.invalid[from] = true
	}
}

// reachable reports whether a key that begins with ObjectPrefix is allowed.
func (r *routeConfig) reachable() bool {
	return slices.ContainsFunc(r.AllowPrefixes, func(prefix string) bool {
		stem, wild := strings.CutSuffix(prefix, "*")
		return strings.HasPrefix(stem, r.ObjectPrefix) || wild && strings.HasPrefix(r.ObjectPrefix, stem)
	})
}

// validateAddresses asks package proxy, one route after the other, whether it can
// tell them apart.
func (c *config) validateAddresses(p *problems) {
	var good []proxy.Route
	for _, r := range c.routeConfigs {
		// What is not about local addresses is a sample: it has its own checks.
		sample := proxy.Route{Name: r.name, PathPrefix: r.PathPrefix, Hosts: r.Hosts,
			Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Credentials: new(credcache.Provider)}
		good = append(good, sample)
		if _, err := proxy.New(proxy.Options{Routes: good}); err != nil {
			p.add(r.names["PathPrefix"], "is wrong: %s", strings.TrimPrefix(err.Error(), "proxy: "))
			good = good[:len(good)-1]
		}
	}
}

// route is one route to serve: its settings, and what resolve made of them.
type route struct {
	routeConfig
	endpoint *url.URL // of the bucket; nil if it is invalid
	actions  []string // Actions as COS names them; nil if one is unknown
}

// bucketURL is the URL of the bucket, nil if it cannot be built.
func (r *routeConfig) bucketURL(endpoint string) *url.URL {
	u, err := proxy.Route{Bucket: r.Bucket, Region: r.Region, Endpoint: endpoint}.URL()
	if err != nil {
		return nil
	}
	return u
}

// proxyRoute is r for package proxy, without Credentials. endpoint is the setting.
func (r *route) proxyRoute(endpoint string) proxy.Route {
	return proxy.Route{
		Name: r.name, PathPrefix: r.PathPrefix, Hosts: r.Hosts,
		Bucket: r.Bucket, Region: r.Region, Endpoint: endpoint, ObjectPrefix: r.ObjectPrefix,
		AllowActions: r.actions, AllowPrefixes: r.AllowPrefixes,
	}
}
