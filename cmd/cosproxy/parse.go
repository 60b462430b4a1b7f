package main

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cosproxy/proxy"

	"github.com/caarlos0/env/v11"
)

// envPrefix is the prefix of cosproxy's own variables, and routesPrefix that of the
// settings of numbered routes.
const (
	envPrefix    = "COSPROXY_"
	routesPrefix = envPrefix + "ROUTES_"
)

// routeVariable matches the prefix of the settings of one numbered route, of at most
// three digits.
var routeVariable = regexp.MustCompile(`^COSPROXY_ROUTES_(0|[1-9][0-9]{0,2})_`)

// parse reads the settings from environment variables. It reads no file and makes no
// lookup. It adds values that it cannot parse to p. Afterwards, no Source is auto: it is
// empty if auto finds no source.
func parse(vars map[string]string, p *problems) *config {
	c := new(config)
	p.addUnreadable(settings(), env.ParseWithOptions(c, env.Options{Environment: vars}))
	c.parseRoutes(vars, p)
	c.Source.trim()
	c.parseProxies(vars, p)
	rejectRenamed(vars, p)
	warnUnknown(vars, p)
	return c
}

// parseRoutes fills c.routeConfigs. It reads numbered routes one by one: slices of
// structs of package env end silently at a gap in the numbers, and at the first route
// with a problem.
func (c *config) parseRoutes(vars map[string]string, p *problems) {
	numbers := routeNumbers(vars)
	if len(numbers) == 0 {
		c.Route.complete(nil, envPrefix, vars)
		c.Route.name = "default"
		c.Route.pinSource(&c.Source)
		c.routeConfigs = []routeConfig{c.Route}
		return
	}
	for i, n := range numbers {
		if i != n {
			p.add(routesPrefix+strconv.Itoa(i)+"_BUCKET", "is missing: routes are numbered from 0 without gaps, and %s%d_ is set", routesPrefix, n)
			break
		}
	}
	for _, s := range routeSettings(envPrefix) {
		if !s.inherited && vars[s.variable] != "" {
			p.add(s.variable, "cannot be combined with settings that start with %s; remove it, or move it to a route of its own", routesPrefix)
		}
	}
	for _, n := range numbers {
		var r routeConfig
		prefix := routesPrefix + strconv.Itoa(n) + "_"
		p.addUnreadable(routeSettings(prefix), env.ParseWithOptions(&r, env.Options{Environment: vars, Prefix: prefix}))
		r.complete(&c.Route, prefix, vars)
		r.pinSource(&c.Source)
		c.routeConfigs = append(c.routeConfigs, r)
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

// complete sets the defaults and, if there is a parent, the inherited settings.
func (r *routeConfig) complete(parent *routeConfig, prefix string, vars map[string]string) {
	r.settings, r.names = prefix, make(map[string]string)
	for _, s := range routeSettings(prefix) {
		r.names[s.field] = s.variable
		if parent != nil && s.inherited && vars[s.variable] == "" {
			r.names[s.field] = variable(s.field)
		}
	}
	if parent != nil {
		r.Region = cmp.Or(r.Region, parent.Region)
		r.Dialect = cmp.Or(r.Dialect, parent.Dialect)
		r.Source = cmp.Or(r.Source, parent.Source)
		r.Duration = cmp.Or(r.Duration, parent.Duration)
	}
	r.Dialect = cmp.Or(r.Dialect, proxy.DialectCOS)
	r.Source = cmp.Or(r.Source, "auto")
	r.PathPrefix = cmp.Or(r.PathPrefix, "/")
	r.name = r.PathPrefix
	if len(r.Hosts) > 0 { // unique, since no two routes share a host and a path prefix
		r.name = strings.ToLower(r.Hosts[0]) + r.PathPrefix
	}
}

// pinSource replaces auto by the first configured source, or by "" if there is none, and
// records the other configured sources.
func (r *routeConfig) pinSource(s *sourceConfig) {
	if r.Source != "auto" {
		return
	}
	r.auto, r.Source = true, ""
	if names := s.available(); len(names) > 0 {
		r.Source, r.unused = names[0], names[1:]
	}
}

// parseProxies records the variables from which net/http takes its proxies, and reports
// values that it would silently ignore.
func (c *config) parseProxies(vars map[string]string, p *problems) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		value := vars[name]
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value // net/http also accepts host:port
		}
		u, err := url.Parse(value)
		switch {
		case err != nil || u.Hostname() == "":
			p.add(name, "is not the URL of a proxy (example: http://proxy.internal:3128); correct or remove it")
		case strings.HasPrefix(u.Scheme, "socks"):
			p.add(name, "is a SOCKS proxy, which requests to COS cannot use; use an http:// or https:// proxy, or remove it")
		}
	}
	c.proxyVariables = make(map[string]string)
	for _, scheme := range []string{"http", "https"} {
		c.proxyVariables[scheme] = scheme + "_proxy"
		if upper := strings.ToUpper(scheme) + "_PROXY"; vars[upper] != "" {
			c.proxyVariables[scheme] = upper
		}
	}
}

// warnUnknown warns about variables that look like settings but are not, since most of
// them are misspelled.
func warnUnknown(vars map[string]string, p *problems) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		known := settings()
		if prefix := routeVariable.FindString(name); prefix != "" {
			known = routeSettings(prefix)
		}
		rest, ok := strings.CutPrefix(name, envPrefix)
		isKnown := slices.ContainsFunc(known, func(s setting) bool { return s.variable == name })
		if !ok || isKnown || isServiceLink(rest) || presentName(name) != "" {
			continue
		}
		nearest := slices.MinFunc(known, func(a, b setting) int {
			return editDistance(name, a.variable) - editDistance(name, b.variable)
		})
		p.warn("unknown setting %s; did you mean %s?", name, nearest.variable)
	}
}

// isServiceLink reports whether a variable, without envPrefix, is one that Kubernetes sets
// in every pod for a Service named cosproxy (Kubernetes document "Service", Environment
// variables).
func isServiceLink(rest string) bool {
	return rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

// editDistance returns the Levenshtein distance of two ASCII strings.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
