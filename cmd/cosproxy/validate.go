package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"cosproxy/credcache"
	"cosproxy/proxy"
)

// validate adds the problems of c to p, and warnings about risky settings. It reads only
// c; resolve checks what depends on files and on this machine.
func validate(c *config, p *problems) {
	for i := range c.routeConfigs {
		c.routeConfigs[i].validate(p)
	}
	c.validateAddresses(p)
	c.validateSources(p)
	c.validateGuards(p)
	c.validateListeners(p)
	c.validateUpstream(p)
	c.validateLimits(p)
	c.validateShutdown(p)
	if c.Splay < 0 {
		p.add(variable("Splay"), "is negative; use for example 20s, or 0s to fetch immediately")
	}
	c.validateLog(p)
}

func (c *config) validateLog(p *problems) {
	if c.LogFormat != "text" && c.LogFormat != "json" {
		p.add(variable("LogFormat"), "is %q; use text or json", c.LogFormat)
	}
}

// validateGuards checks the settings of access control.
func (c *config) validateGuards(p *problems) {
	validateHosts(p, variable("AllowedHosts"), c.AllowedHosts)
	validateOrigins(p, variable("AllowedOrigins"), c.AllowedOrigins)
	if len(c.AllowedHosts) > 0 && c.TLSCertFile == "" && c.ClientTokenFile == "" {
		p.warn("%s without TLS: browsers send Sec-Fetch-Site only to loopback and https origins, so pages of other sites could load images and scripts through these names; set %s and %s, or %s",
			variable("AllowedHosts"), variable("TLSCertFile"), variable("TLSKeyFile"), variable("ClientTokenFile"))
	}
	switch cert, key := variable("TLSCertFile"), variable("TLSKeyFile"); {
	case (c.TLSCertFile == "") == (c.TLSKeyFile == ""):
	case c.TLSKeyFile == "":
		p.add(key, "is required with %s: set it to the file with the private key of the certificate", cert)
	default:
		p.add(cert, "is required with %s: set it to the file with the certificate", key)
	}
}

func (c *config) validateListeners(p *problems) {
	if (c.Listen == address{}) && !c.issues {
		p.add(variable("Listen"), "cannot be off; use for example 127.0.0.1:4360")
	}
	all := c.listenSettings()
	for i, l := range all {
		c.validateListen(p, l.field, l.address)
		for _, earlier := range all[:i] {
			switch {
			case l.network == "systemd" && earlier.network == "systemd" && (l.at == "" || earlier.at == ""):
				p.add(variable(l.field), "and %s are both sockets from systemd; use systemd:NAME for both", variable(earlier.field))
			case l.address == earlier.address && !l.ephemeral():
				p.add(variable(l.field), "is the same address as %s; use another one, or off", variable(earlier.field))
			}
		}
	}
	if c.QuitTokenFile != "" && c.AdminListen == (address{}) {
		p.add(variable("QuitTokenFile"), "requires the admin listener, but %s is off; remove one of them", variable("AdminListen"))
	}
}

func (c *config) validateListen(p *problems, field string, a address) {
	switch {
	case a.local() || !needsUnsafeListen(field):
	case !c.UnsafeListen:
		p.add(variable(field), "is %s, which other machines can reach; "+
			"use a loopback address or a Unix socket, or set %s=true to allow this", a, variable("UnsafeListen"))
	default:
		if text := c.exposure(field, a.String()); text != "" {
			p.warn("%s", text)
		}
	}
}

// exposure describes the risks of an address that other machines can reach. It is empty
// if a client token and TLS protect the address.
func (c *config) exposure(field, at string) string {
	var open []string
	if c.ClientTokenFile == "" {
		can := "use the bucket"
		if field == "AdminListen" {
			can = "read /status and /metrics"
		}
		open = append(open, "every client can "+can+" (set "+variable("ClientTokenFile")+")")
	}
	if c.TLSCertFile == "" {
		open = append(open, "requests and responses are not encrypted (set "+variable("TLSCertFile")+" and "+variable("TLSKeyFile")+")")
	}
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf("%s=%s is reachable from other machines: %s", variable(field), at, strings.Join(open, ", and "))
}

func (c *config) validateUpstream(p *problems) {
	for _, r := range c.routeConfigs {
		if u := r.bucketURL(c.Endpoint); u != nil && u.Scheme == "http" && !c.dialsLoopback(u) {
			p.warn("%s uses plain http, which exposes objects and session tokens on the network; use https://", variable("Endpoint"))
		}
	}
	// The sample bucket is valid, so an error concerns the endpoint.
	sample := proxy.Route{Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Endpoint: c.Endpoint}
	if _, err := sample.URL(); err != nil {
		p.add(variable("Endpoint"), "is invalid: %s (example: %s)", strings.TrimPrefix(err.Error(), "proxy: "), proxy.DefaultEndpoint)
	}
	if c.SpareDomain && c.hasOwnEndpoint() {
		p.warn("%s has no effect, because %s or %s is set; remove one of them", variable("SpareDomain"), variable("Endpoint"), variable("ConnectTo"))
	}
	if c.ConnectTo != "" {
		err := checkHostPort(c.ConnectTo)
		if host, _, _ := net.SplitHostPort(c.ConnectTo); err == nil && host == "" {
			err = fmt.Errorf("%s has no host", quoted(c.ConnectTo))
		}
		if err != nil {
			p.add(variable("ConnectTo"), "is invalid: %v (example: 10.0.0.5:443)", err)
		}
	}
}

// dialsLoopback reports whether requests to endpoint stay on this machine.
func (c *config) dialsLoopback(endpoint *url.URL) bool {
	if c.ConnectTo == "" {
		return isLocalHost(endpoint.Hostname())
	}
	host, _, _ := net.SplitHostPort(c.ConnectTo)
	return isLocalHost(host)
}

// validateHosts checks names for the Host header.
func validateHosts(p *problems, variable string, hosts []string) {
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			p.add(variable, "is invalid: %v", err)
		}
	}
}

// validateOrigins checks origins in the form of the Origin header: scheme, host and port.
func validateOrigins(p *problems, variable string, origins []string) {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			p.add(variable, "is invalid: %s is not an origin (examples: https://app.example, http://localhost:8080)", quoted(o))
		}
	}
}

func (c *config) validateLimits(p *problems) {
	if c.MaxQueued < 0 {
		p.add(variable("MaxQueued"), "is negative; use for example 200, or 0 to disable the queue")
	}
	if c.MaxHeaderBytes > 1<<20 {
		p.add(variable("MaxHeaderBytes"), "is more than 1MiB, the maximum, since every connection may use that much memory; use for example 64KiB")
	}
	for _, limit := range []struct {
		field    string
		positive bool
	}{
		{"MaxRequests", c.MaxRequests > 0},
		{"QueueTimeout", c.QueueTimeout > 0},
		{"HeaderTimeout", c.HeaderTimeout > 0},
		{"IdleTimeout", c.IdleTimeout > 0},
		{"StallTimeout", c.StallTimeout > 0},
	} {
		if !limit.positive {
			s := settingOf(limit.field)
			p.add(s.variable, "must be greater than zero (example: %s)", s.example)
		}
	}
}

// validateShutdown checks that the delay leaves time to drain.
func (c *config) validateShutdown(p *problems) {
	if c.DrainTimeout < 0 {
		p.add(variable("DrainTimeout"), "is negative; use for example 25s, or 0s to cancel requests immediately")
	}
	switch {
	case c.ShutdownDelay < 0:
		p.add(variable("ShutdownDelay"), "is negative; use for example 5s, or 0s to stop accepting requests immediately")
	case c.ShutdownDelay > 0 && c.ShutdownDelay >= c.DrainTimeout:
		p.add(variable("ShutdownDelay"), "leaves no time to drain, since it is part of %s (%v); use a shorter delay", variable("DrainTimeout"), c.DrainTimeout)
	}
}

// problems collects problems and warnings of a configuration, for people to read.
type problems struct {
	texts    []string
	warnings []string        // risky or suspicious settings that are allowed
	invalid  map[string]bool // variables without a usable value
}

func newProblems() *problems { return &problems{invalid: make(map[string]bool)} }

// err returns an error with one problem per line and no secret, or nil.
func (p *problems) err() error {
	if len(p.texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(p.texts, "\n"))
}

// add adds a problem of a variable. It ignores consequences of an earlier problem, which
// made the variable invalid, and repetitions, which occur for a setting that several
// routes share.
func (p *problems) add(variable, format string, args ...any) {
	text := variable + " " + fmt.Sprintf(format, args...)
	if !p.invalid[variable] && !slices.Contains(p.texts, text) {
		p.texts = append(p.texts, text)
	}
}

// addInvalid adds a problem that leaves the variable without a usable value.
func (p *problems) addInvalid(variable, format string, args ...any) {
	p.add(variable, format, args...)
	p.invalid[variable] = true
}

// addUnreadable adds the settings that package env could not parse.
func (p *problems) addUnreadable(settings []setting, err error) {
	var all env.AggregateError
	errors.As(err, &all)
	for _, err := range all.Errors {
		var unreadable env.ParseError
		for _, s := range settings {
			if errors.As(err, &unreadable) && s.field == unreadable.Name {
				p.addInvalid(s.variable, "is invalid: %v (example: %s)", unreadable.Err, s.example)
			}
		}
	}
}

// addOptions adds the *credcache.OptionErrors that err joins. variables maps their fields
// to variables.
func (p *problems) addOptions(err error, variables map[string]string) {
	switch e := err.(type) { //nolint:errorlint // the tree of joined errors is walked here
	case *credcache.OptionError:
		name := variables[e.Field]
		if name == "" {
			name = variable(e.Field)
		}
		p.add(name, "is invalid: %s", e.Problem)
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			p.addOptions(joined, variables)
		}
	}
}

// warn adds a warning, unless it was added before.
func (p *problems) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.warnings, text) {
		p.warnings = append(p.warnings, text)
	}
}
