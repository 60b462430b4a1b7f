package main

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"cosproxy/credcache"
)

// firstDuration is the lifetime of the credentials for a web identity that only assume a
// second role. It is the default of AssumeRoleWithWebIdentity, and longer than that of the routes'
// credentials, since the quota of AssumeRoleWithWebIdentity is small.
const firstDuration = 2 * time.Hour

// chained reports whether the credentials of a source are only used to assume RoleARN, with
// the policy of the route (role chaining).
func (c *sourceConfig) chained(source string) bool {
	return c.RoleARN != "" && sourceKinds[source].assumesRole
}

// callsSTS reports whether a source, or the second role, uses STSEndpoint.
func (c *sourceConfig) callsSTS(source string) bool {
	return sourceKinds[source].names["Endpoint"] == "STSEndpoint" || c.chained(source)
}

// kindOf returns the kind of a source. If it is chained, the kind describes the credentials
// of the second role, but for needs, names and new, which are those of the first.
func (c *sourceConfig) kindOf(source string) (kind sourceKind, known bool) {
	kind, known = sourceKinds[source]
	if c.chained(source) {
		kind.unscoped, kind.hasDuration = "", true
	}
	return kind, known
}

// firstRole returns the ARN of the role whose credentials assume RoleARN, and the setting
// that it comes from. An instance does not tell the ARN of its role: it is assumed to be in the
// account of RoleARN, and a name that is not in the settings is a placeholder.
func (c *sourceConfig) firstRole(source string) (arn, setting string) {
	if source == "oidc" {
		return c.TKERoleARN, variable("TKERoleARN")
	}
	account, _, _ := strings.Cut(c.RoleARN, ":role")
	return account + ":roleName/" + cmp.Or(c.CVMRole, "<role of the instance>"), variable("CVMRole")
}

// describeSource returns a source and, if it is chained, the second role.
func (c *sourceConfig) describeSource(source string) string {
	if c.chained(source) {
		return withSecondRole(source, c.RoleARN)
	}
	return source
}

// withSecondRole describes a source whose credentials assume the role arn, unless it is "".
func withSecondRole(source, arn string) string {
	if arn == "" {
		return source
	}
	return source + ", then " + arn
}

// newSecondRole returns the source of the credentials of RoleARN, which those of caller
// assume.
func (c *sourceConfig) newSecondRole(caller *credcache.Provider, d time.Duration, t *transports) (credcache.Source, error) {
	return credcache.NewRole(credcache.RoleOptions{
		Caller: caller, Endpoint: c.STSEndpoint, RoleARN: c.RoleARN, SessionName: c.RoleSessionName,
		ExternalID: c.RoleExternalID, Duration: d, Transport: t.toSource,
	})
}

// checkOptions lets the source of a route check its options, and so the second role.
func (c *sourceConfig) checkOptions(p *problems, r *routeConfig) {
	kind, known := sourceKinds[r.Source]
	if !known {
		return
	}
	if c.chained(r.Source) {
		_, err := c.newSecondRole(new(credcache.Provider), r.Duration, new(transports))
		p.addOptions(err, sourceKinds["role"].variables(r))
	}
	_, err := kind.new(c, r.Duration, new(transports))
	p.addOptions(err, kind.variables(r))
}

// newSource returns the source of the credentials of id. Chained sources of the same name
// share the credentials of the first role.
func (s *credentialStore) newSource(cfg *resolved, id cacheID, t *transports, opts credcache.Options) (credcache.Source, error) {
	kind := sourceKinds[id.source]
	if !cfg.Source.chained(id.source) {
		return kind.new(&cfg.Source, id.duration, t)
	}
	if s.callers[id.source] == nil {
		first, err := kind.new(&cfg.Source, firstDuration, t)
		if err != nil {
			return nil, err
		}
		if opts.Logger != nil {
			opts.Logger = opts.Logger.With(slog.String("cosproxy.first_role", id.source))
		}
		opts.ForClients = false // cosproxy itself uses these credentials
		s.callers[id.source] = credcache.New(first, opts)
	}
	return cfg.Source.newSecondRole(s.callers[id.source].For(cfg.firstScope()), id.duration, t)
}

// firstScope is the scope of the credentials of a first role. It limits nothing, and its
// region is that of the first route, since all routes share the credentials.
func (c *resolved) firstScope() credcache.Scope { return credcache.Scope{Region: c.routes[0].Region} }

// firstStats returns the state of the credentials of the first role of a source; ok is false
// if the source is not chained.
func (s *credentialStore) firstStats(source string) (stats credcache.ScopeStats, ok bool) {
	if caller := s.callers[source]; caller != nil {
		return caller.Stats()[0], true
	}
	return credcache.ScopeStats{}, false
}
