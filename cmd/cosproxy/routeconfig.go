package main

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"cosproxy/credcache"
	"cosproxy/proxy"
)

// routeConfig are the settings of one route: as COSPROXY_BUCKET and so on where
// there is one, as COSPROXY_ROUTES_0_BUCKET and so on where there are several.
// What is inherited falls back to the short name. A default stands in a tag of
// its own, since env would fill it in before that.
type routeConfig struct {
	Bucket     string        `env:"BUCKET" required:"true" example:"examplebucket-1250000000" desc:"The bucket, with its APPID."`
	Region     string        `env:"REGION" required:"true" inherited:"true" example:"ap-guangzhou" desc:"The region of the bucket."`
	Prefixes   list          `env:"PREFIXES" required:"true" example:"uploads/*,a.txt" desc:"The object keys that may be touched, comma-separated: 'uploads/*' is all that begins with 'uploads/', 'a.txt' is that one key, '*' is the whole bucket."`
	Actions    list          `env:"ACTIONS" required:"true" example:"read,upload" desc:"What may be done with them, comma-separated: 'read', 'list', 'upload', 'write', 'delete', 'acl', COS actions such as 'name/cos:GetObject', or '*' for all."`
	PathPrefix string        `env:"PATH_PREFIX" default:"/" desc:"What the path of a request begins with to come here; it is not part of the object key. The longest that fits wins."`
	Hosts      list          `env:"HOSTS" example:"photos.internal" desc:"Names in Host that come here, comma-separated, without ports; by default all that no other route has."`
	KeyPrefix  string        `env:"KEY_PREFIX" desc:"What is put before the path to make the object key, such as 'photos/'. 'PREFIXES' has to include it."`
	Source     string        `env:"SOURCE" inherited:"true" default:"auto" desc:"Where keys come from: 'static', 'sts', 'role', 'oidc', 'cvm', 'endpoint', 'file'; or 'auto' for the first of 'role', 'static', 'sts', 'file', 'endpoint', 'cvm', 'oidc' that is configured, which is pinned."`
	Duration   time.Duration `env:"DURATION" inherited:"true" default:"30m" example:"30m" desc:"Life of the keys to ask of STS: at most 36h with 'sts', or 2h with the pair of a root account, and 12h with 'role' and 'oidc'."`

	name     string            // in log, metrics and messages
	settings string            // what the names of its variables begin with
	names    map[string]string // the variable that each field came from
	auto     bool              // Source was chosen by auto
	endpoint *url.URL          // of the bucket
}

// routesPrefix begins the names of all settings of numbered routes.
const routesPrefix = "COSPROXY_ROUTES_"

// Three digits are enough for people who write routes by hand.
var routeVariable = regexp.MustCompile(`^COSPROXY_ROUTES_(0|[1-9][0-9]{0,2})_`)

// parseRoutes fills c.routes. It reads numbered routes one by one, because
// env's own slices of structs end silently at a gap in the numbers, and with
// the first route that has a mistake.
func (c *config) parseRoutes(vars map[string]string, m *mistakes) {
	numbers := routeNumbers(vars)
	if len(numbers) == 0 {
		c.Route.complete(nil, prefix, vars)
		c.Route.name = "default"
		c.routes = []*routeConfig{&c.Route}
		return
	}
	for i, n := range numbers {
		if i != n {
			m.add(routesPrefix+strconv.Itoa(i)+"_BUCKET", "is missing: routes are numbered from 0 without a gap, and there is a %s%d_", routesPrefix, n)
			break
		}
	}
	for _, s := range routeSettings(prefix) {
		if !s.inherited && vars[s.variable] != "" {
			m.add(s.variable, "is set as well as settings that begin with %s: remove it, or move it into a route of its own", routesPrefix)
		}
	}
	for _, n := range numbers {
		r := new(routeConfig)
		begin := routesPrefix + strconv.Itoa(n) + "_"
		m.addParsed(routeSettings(begin), env.ParseWithOptions(r, env.Options{Environment: vars, Prefix: begin}))
		r.complete(&c.Route, begin, vars)
		c.routes = append(c.routes, r)
	}
}

func routeNumbers(vars map[string]string) []int {
	numbers := make(map[int]bool)
	for name := range vars {
		if match := routeVariable.FindStringSubmatch(name); match != nil {
			n, _ := strconv.Atoi(match[1]) // three digits at most
			numbers[n] = true
		}
	}
	return slices.Sorted(maps.Keys(numbers))
}

// complete fills in defaults, and from parent, if there is one, what r leaves
// to it.
func (r *routeConfig) complete(parent *routeConfig, begin string, vars map[string]string) {
	r.settings, r.names = begin, make(map[string]string)
	for _, s := range routeSettings(begin) {
		r.names[s.field] = s.variable
		if parent != nil && s.inherited && vars[s.variable] == "" {
			r.names[s.field] = variable(s.field)
		}
	}
	if parent != nil {
		r.Region = cmp.Or(r.Region, parent.Region)
		r.Source = cmp.Or(r.Source, parent.Source)
		r.Duration = cmp.Or(r.Duration, parent.Duration)
	}
	r.Source = cmp.Or(r.Source, "auto")
	r.PathPrefix = cmp.Or(r.PathPrefix, "/")
	r.name = r.PathPrefix
	if len(r.Hosts) > 0 { // unique, since no two routes share a host and a path prefix
		r.name = strings.ToLower(r.Hosts[0]) + r.PathPrefix
	}
}

func (r *routeConfig) scope() credcache.Scope {
	return credcache.Scope{Bucket: r.Bucket, Region: r.Region, Prefixes: r.Prefixes, Actions: r.Actions}
}

// proxyRoute is r for package proxy, without Credentials.
func (r *routeConfig) proxyRoute(endpoint string) (proxy.Route, error) {
	actions, err := credcache.ExpandActions(r.Actions)
	return proxy.Route{
		Name: r.name, PathPrefix: r.PathPrefix, Hosts: r.Hosts,
		Bucket: r.Bucket, Region: r.Region, Endpoint: endpoint, KeyPrefix: r.KeyPrefix,
		Actions: actions, Prefixes: r.Prefixes, Settings: r.settings,
	}, err
}

func (c *config) checkRoute(m *mistakes, r *routeConfig) {
	r.checkRequired(m)
	m.addOptions(r.scope().Validate(), r.names)
	checkHosts(m, r.names["Hosts"], r.Hosts)
	if strings.HasPrefix(r.KeyPrefix, "/") {
		m.add(r.names["KeyPrefix"], "begins with a slash, which object keys do not: write %s", strings.TrimLeft(r.KeyPrefix, "/"))
	} else if len(r.Prefixes) > 0 && !r.reachable() {
		m.add(r.names["Prefixes"], "has no key that begins with %s, which %s puts before every key: write for example %[1]s*", r.KeyPrefix, r.names["KeyPrefix"])
	}
	if slices.Contains(r.Prefixes, "*") {
		c.warn("%s has *: applications can touch every object in the bucket", r.names["Prefixes"])
	}
	if slices.Contains(r.Actions, "*") || slices.Contains(r.Actions, "name/cos:*") {
		c.warn("%s has *: applications can do all that COS offers, such as deleting objects and changing ACLs", r.names["Actions"])
	}
	if slices.Contains(r.Actions, "name/cos:GetService") {
		c.warn("%s has name/cos:GetService: applications can list every bucket of the account", r.names["Actions"])
	}
}

func (r *routeConfig) checkRequired(m *mistakes) {
	missing := map[string]bool{
		"Bucket": r.Bucket == "", "Region": r.Region == "", "Prefixes": len(r.Prefixes) == 0, "Actions": len(r.Actions) == 0,
	}
	for _, s := range routeSettings(r.settings) {
		from := r.names[s.field]
		switch {
		case !s.required || !missing[s.field]:
			continue
		case s.variable == from:
			m.add(from, "is required: write for example %s", s.example)
		default:
			m.add(s.variable, "is required: write for example %s, or set %s for all routes", s.example, from)
		}
		m.broken[from] = true
	}
}

// reachable reports whether a key that begins with KeyPrefix is allowed.
func (r *routeConfig) reachable() bool {
	return slices.ContainsFunc(r.Prefixes, func(p string) bool {
		stem, wild := strings.CutSuffix(p, "*")
		return strings.HasPrefix(stem, r.KeyPrefix) || wild && strings.HasPrefix(r.KeyPrefix, stem)
	})
}

// checkAddresses asks package proxy, one route after the other, whether it can
// tell them apart.
func (c *config) checkAddresses(m *mistakes) {
	var good []proxy.Route
	for _, r := range c.routes {
		// What is not about local addresses is a sample: it has its own checks.
		sample := proxy.Route{Name: r.name, PathPrefix: r.PathPrefix, Hosts: r.Hosts,
			Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Credentials: new(credcache.Provider)}
		good = append(good, sample)
		if _, err := proxy.New(proxy.Options{Routes: good}); err != nil {
			m.add(r.names["PathPrefix"], "is wrong: %s", strings.TrimPrefix(err.Error(), "proxy: "))
			good = good[:len(good)-1]
		}
	}
}
