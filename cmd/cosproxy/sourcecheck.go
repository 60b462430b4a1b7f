package main

import (
	"context"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"cosproxy/credcache/smallfile"
)

// configured are the sources that something is set for, in the order in which
// auto chooses: role before the pair alone, since it needs both; cosproxy's own
// variables before those that TKE puts into every pod. The metadata service is
// not asked, since a start must not depend on the network.
func (c *sourceConfig) configured() []string {
	pair := c.SecretID != "" || c.SecretIDFile != "" || c.SecretKey != "" || c.SecretKeyFile != ""
	var names []string
	for _, source := range []struct {
		name string
		set  bool
	}{
		{"role", c.RoleARN != ""},
		{"static", c.Token != "" || c.TokenFile != ""},
		{"sts", pair && c.RoleARN == "" && c.Token == "" && c.TokenFile == ""},
		{"file", c.KeyFile != ""},
		{"endpoint", c.KeyEndpoint != ""},
		{"cvm", c.CVMRole != ""},
		{"oidc", c.TKEProviderID != "" || c.TKETokenFile != "" || c.TKERoleARN != ""},
	} {
		if source.set {
			names = append(names, source.name)
		}
	}
	return names
}

// choose is what auto means: the first source that is configured, or "" for
// none. It tells of those that are not used.
func (c *config) choose(r *routeConfig) string {
	names := c.Source.configured()
	if len(names) == 0 {
		return ""
	}
	if len(names) > 1 {
		c.warn("%s is auto and takes %s; configured and not used: %s", r.names["Source"], names[0], strings.Join(names[1:], ", "))
	}
	return names[0]
}

// checkSources pins the source of each route and checks what it needs.
func (c *config) checkSources(m *mistakes) {
	pair := false // whether any source uses it
	for _, r := range c.routes {
		if r.Source == "auto" {
			r.auto, r.Source = true, c.choose(r)
		}
		pair = pair || slices.Contains(sourceKinds[r.Source].needs, "SecretID")
	}
	if pair {
		readSecret(m, "SecretID", &c.Source.SecretID, c.Source.SecretIDFile)
		readSecret(m, "SecretKey", &c.Source.SecretKey, c.Source.SecretKeyFile)
		readSecret(m, "Token", &c.Source.Token, c.Source.TokenFile)
		checkPlain(m, "SecretID", c.Source.SecretID, c.Source.SecretIDFile)
		checkPlain(m, "SecretKey", string(c.Source.SecretKey), c.Source.SecretKeyFile)
		checkPlain(m, "Token", string(c.Source.Token), c.Source.TokenFile)
	}
	for _, r := range c.routes {
		kind, known := sourceKinds[r.Source]
		switch {
		case known:
			c.checkSource(m, r, kind)
		case r.auto:
			m.add(r.names["Source"], "is auto, and no source is configured: set %s and %s for STS; or %s, %s, or the TKE_ variables; or write cvm for the role of the instance",
				variable("SecretID"), variable("SecretKey"), variable("KeyFile"), variable("KeyEndpoint"))
		default:
			m.add(r.names["Source"], "is %q: write auto, static, sts, role, oidc, cvm, endpoint or file", r.Source)
		}
	}
}

func (c *config) checkSource(m *mistakes, r *routeConfig, kind sourceKind) {
	c.Source.checkNeeds(m, kind, r)
	source, token := r.names["Source"], c.Source.Token
	switch {
	case token != "" && (r.Source == "sts" || r.Source == "role"):
		m.add(variable("Token"), "does not go with %s=%s, since STS takes no temporary key: remove it, or write %[1]s=static", source, r.Source)
	case token == "" && r.Source == "static":
		c.warn("%s=static without %s: requests are signed with a long-lived key, which no prefixes or actions limit at COS", source, variable("Token"))
	case kind.wide != "":
		c.warn("%s=%s: %s; only cosproxy is sure to hold applications to the prefixes and actions", source, r.Source, kind.wide)
	}
	sts := kind.names["Endpoint"] == "STSEndpoint"
	if u, err := url.Parse(c.Source.STSEndpoint); sts && err == nil && u.Scheme == "http" && !isLocalHost(u.Hostname()) {
		c.warn("%s is plain http: whoever can listen on the way reads the keys; write https://", variable("STSEndpoint"))
	}
	_, err := kind.open(&c.Source, r.Duration, new(transports))
	m.addOptions(err, kind.variables(r))
	if kind.wide == "" && r.scope().Validate() == nil {
		_, err := r.scope().Policy() // it may be longer than CAM takes
		m.addOptions(err, r.names)
	}
}

func (c *sourceConfig) checkNeeds(m *mistakes, kind sourceKind, r *routeConfig) {
	for _, field := range kind.needs {
		switch name := variable(field); {
		case c.value(field) != "":
		case field == "SecretID" || field == "SecretKey":
			m.addBroken(name, "is required for source %s: write it, or name a file that holds it in %s", r.Source, variable(field+"File"))
		default:
			m.addBroken(name, "is required for source %s: write for example %s", r.Source, settingOf(field).example)
		}
	}
}

// value is the text of a field; all are strings.
func (c *sourceConfig) value(field string) string {
	return reflect.ValueOf(c).Elem().FieldByName(field).String()
}

// variables are those of a route's source, by the fields of its Options.
func (k sourceKind) variables(r *routeConfig) map[string]string {
	all := map[string]string{"Duration": r.names["Duration"]}
	for option, field := range k.names {
		all[option] = variable(field)
	}
	return all
}

// readSecret sets value to the content of the file at path, if one is given.
func readSecret[T ~string](m *mistakes, field string, value *T, path string) {
	*value = T(strings.TrimSpace(string(*value)))
	if path == "" {
		return
	}
	file := field + "File"
	content, err := smallfile.Read(context.Background(), path, smallfile.SecretLimit)
	text := T(strings.TrimSpace(string(content)))
	switch {
	case *value != "":
		m.add(variable(file), "is set as well as %s: keep one of the two", variable(field))
	case err != nil:
		m.add(variable(file), "names a file that cannot be read: %v; name a file that holds the value alone", err)
	case text == "":
		m.add(variable(file), "names an empty file, %s", path)
	}
	*value = text
	m.broken[variable(field)] = text == ""
}

// checkPlain wants what a header and a signature can carry, so that a wrapped
// file or a stray quote shows at start. It never shows the value.
func checkPlain(m *mistakes, field, value, path string) {
	from := variable(field)
	if path != "" {
		from = variable(field + "File")
	}
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		m.add(from, "is wrong: there is a blank, a line break or a character beyond ASCII inside the value; write the value alone, on one line")
	case field == "SecretID" && strings.ContainsAny(value, "&;="):
		m.add(from, "is wrong: no SecretId has & ; or = in it; write it alone, as the CAM console shows it")
	default:
		return
	}
	m.broken[variable(field)] = true
}
