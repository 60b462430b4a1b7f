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

// validate adds to p what is wrong with c, and warns of what is allowed and risky. It
// reads nothing but c: what only files and this machine can tell is resolve's part.
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
		p.add(variable("Splay"), "is negative: write for example 20s, or 0s to fetch at once")
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		p.add(variable("LogFormat"), "is %q: write text or json", c.LogFormat)
	}
}

// validateGuards checks the settings that say which requests are let in.
func (c *config) validateGuards(p *problems) {
	validateHosts(p, variable("AllowedHosts"), c.AllowedHosts)
	validateOrigins(p, variable("AllowedOrigins"), c.AllowedOrigins)
	if len(c.AllowedHosts) > 0 && c.TLSCertFile == "" && c.ClientTokenFile == "" {
		p.warn("%s: browsers do not say which site asks for a picture or a script by a plain http name beyond loopback; set %s and %s, or %s",
			variable("AllowedHosts"), variable("TLSCertFile"), variable("TLSKeyFile"), variable("ClientTokenFile"))
	}
	switch cert, key := variable("TLSCertFile"), variable("TLSKeyFile"); {
	case (c.TLSCertFile == "") == (c.TLSKeyFile == ""):
	case c.TLSKeyFile == "":
		p.add(key, "is required with %s: name the file with the key of the certificate", cert)
	default:
		p.add(cert, "is required with %s: name the file with the certificate", key)
	}
}

func (c *config) validateListeners(p *problems) {
	c.validateListen(p, "Listen", c.Listen)
	c.validateListen(p, "AdminListen", c.AdminListen)
	switch {
	case c.Listen == address{}:
		p.add(variable("Listen"), "cannot be off: write for example 127.0.0.1:4360")
	case c.Listen.network == "systemd" && c.AdminListen.network == "systemd" && (c.Listen.at == "" || c.AdminListen.at == ""):
		p.add(variable("AdminListen"), "and %s are two sockets of systemd: write systemd:NAME for both", variable("Listen"))
	case c.Listen == c.AdminListen && !c.Listen.ephemeral():
		p.add(variable("AdminListen"), "is the same address as %s: choose another, or off", variable("Listen"))
	}
}

func (c *config) validateListen(p *problems, field string, a address) {
	switch {
	case a.local():
	case !c.UnsafeListen:
		p.add(variable(field), "is %s, which other machines can reach and then use the bucket without a key: "+
			"write a loopback address or a Unix socket, or allow it with %s=true", a, variable("UnsafeListen"))
	default:
		if text := c.exposure(field, a.String()); text != "" {
			p.warn("%s", text)
		}
	}
}

// exposure says what it opens to let other machines reach an address, or nothing
// if a token and TLS are in the way.
func (c *config) exposure(field, at string) string {
	var open []string
	if c.ClientTokenFile == "" {
		open = append(open, "whoever reaches it needs no key (set "+variable("ClientTokenFile")+")")
	}
	if c.TLSCertFile == "" {
		open = append(open, "whoever can listen on the way reads all that passes (set "+variable("TLSCertFile")+" and "+variable("TLSKeyFile")+")")
	}
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf("%s=%s can be reached from other machines: %s", variable(field), at, strings.Join(open, ", and "))
}

func (c *config) validateUpstream(p *problems) {
	for _, r := range c.routeConfigs {
		if u := r.bucketURL(c.Endpoint); u != nil && u.Scheme == "http" && !c.dialsLoopback(u) {
			p.warn("%s is plain http: whoever can listen on the way reads objects and session tokens; write https://", variable("Endpoint"))
		}
	}
	// A sample says what is wrong, since a configured bucket may be invalid too.
	sample := proxy.Route{Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Endpoint: c.Endpoint}
	if _, err := sample.URL(); err != nil {
		p.add(variable("Endpoint"), "is wrong: %v; write for example %s", err, proxy.DefaultEndpoint)
	}
	if c.ConnectTo != "" {
		err := checkHostPort(c.ConnectTo)
		if host, _, _ := net.SplitHostPort(c.ConnectTo); err == nil && host == "" {
			err = fmt.Errorf("%s has no host", quoted(c.ConnectTo))
		}
		if err != nil {
			p.add(variable("ConnectTo"), "is wrong: %v; write for example 10.0.0.5:443", err)
		}
	}
}

// dialsLoopback reports whether what goes to endpoint stays on this machine.
func (c *config) dialsLoopback(endpoint *url.URL) bool {
	if c.ConnectTo == "" {
		return isLocalHost(endpoint.Hostname())
	}
	host, _, _ := net.SplitHostPort(c.ConnectTo)
	return isLocalHost(host)
}

// validateHosts checks names that requests may have in Host.
func validateHosts(p *problems, variable string, hosts []string) {
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			p.add(variable, "is wrong: %v", err)
		}
	}
}

// validateOrigins checks sites as browsers name them: scheme, host and port.
func validateOrigins(p *problems, variable string, origins []string) {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			p.add(variable, "is wrong: %s is no origin; write for example https://app.example or http://localhost:8080", quoted(o))
		}
	}
}

func (c *config) validateLimits(p *problems) {
	if c.MaxQueued < 0 {
		p.add(variable("MaxQueued"), "is negative: write for example 200, or 0 to let none wait")
	}
	if c.MaxHeaderBytes > 1<<20 {
		p.add(variable("MaxHeaderBytes"), "is more than 1MiB, which every connection could take: write for example 64KiB")
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
			p.add(s.variable, "has to be more than zero: write for example %s", s.example)
		}
	}
}

// validateShutdown requires a drain that has time left after the delay.
func (c *config) validateShutdown(p *problems) {
	if c.DrainTimeout < 0 {
		p.add(variable("DrainTimeout"), "is negative: write for example 25s, or 0s to cut off at once")
	}
	switch {
	case c.ShutdownDelay < 0:
		p.add(variable("ShutdownDelay"), "is negative: write for example 5s, or 0s to stop accepting at once")
	case c.ShutdownDelay > 0 && c.ShutdownDelay >= c.DrainTimeout:
		p.add(variable("ShutdownDelay"), "leaves no time to drain, since it is part of %s (%v): write a shorter one", variable("DrainTimeout"), c.DrainTimeout)
	}
}

// problems collects what is wrong with a configuration, for people to read.
type problems struct {
	texts    []string
	warnings []string        // what is allowed and should be seen all the same
	invalid  map[string]bool // variables without a usable value
}

func newProblems() *problems { return &problems{invalid: make(map[string]bool)} }

// err lists all problems, one a line, without a secret; nil if there are none.
func (p *problems) err() error {
	if len(p.texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(p.texts, "\n"))
}

// add notes a problem of a variable, unless the variable is known to be invalid:
// what follows from its first problem is no news. Nor is the same problem of a
// setting that several routes share.
func (p *problems) add(variable, format string, args ...any) {
	text := variable + " " + fmt.Sprintf(format, args...)
	if !p.invalid[variable] && !slices.Contains(p.texts, text) {
		p.texts = append(p.texts, text)
	}
}

// addInvalid is add for a problem that leaves the variable without a usable
// value.
func (p *problems) addInvalid(variable, format string, args ...any) {
	p.add(variable, format, args...)
	p.invalid[variable] = true
}

// addUnreadable adds what env could not read of the settings.
func (p *problems) addUnreadable(settings []setting, err error) {
	var all env.AggregateError
	errors.As(err, &all)
	for _, err := range all.Errors {
		var unreadable env.ParseError
		for _, s := range settings {
			if errors.As(err, &unreadable) && s.field == unreadable.Name {
				p.addInvalid(s.variable, "cannot be read: %v; write for example %s", unreadable.Err, s.example)
			}
		}
	}
}

// addOptions adds the *credcache.OptionErrors joined in err, whose fields came
// from these variables.
func (p *problems) addOptions(err error, variables map[string]string) {
	switch e := err.(type) { //nolint:errorlint // the tree of joined errors is walked here
	case *credcache.OptionError:
		name := variables[e.Field]
		if name == "" {
			name = variable(e.Field)
		}
		p.add(name, "is wrong: %s", e.Problem)
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			p.addOptions(joined, variables)
		}
	}
}

// warn adds a warning, once.
func (p *problems) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.warnings, text) {
		p.warnings = append(p.warnings, text)
	}
}
