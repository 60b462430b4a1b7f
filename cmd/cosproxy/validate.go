package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"cosproxy/credcache"
	"cosproxy/credcache/smallfile"
	"cosproxy/proxy"
)

// mistakes gathers what is wrong with a config, for people to read.
type mistakes struct {
	errs   []error
	broken map[string]bool // variables without a usable value
}

// add notes a mistake in a variable, unless the variable is known to be broken:
// what follows from its first mistake is no news. Nor is the same mistake of a
// setting that several routes share.
func (m *mistakes) add(variable, format string, args ...any) {
	text := variable + " " + fmt.Sprintf(format, args...)
	known := slices.ContainsFunc(m.errs, func(err error) bool { return err.Error() == text })
	if !m.broken[variable] && !known {
		m.errs = append(m.errs, errors.New(text))
	}
}

// addBroken is add for a mistake that leaves the variable without a usable
// value.
func (m *mistakes) addBroken(variable, format string, args ...any) {
	m.add(variable, format, args...)
	m.broken[variable] = true
}

// addParsed takes over what env could not read of the settings.
func (m *mistakes) addParsed(settings []setting, err error) {
	var all env.AggregateError
	errors.As(err, &all)
	for _, err := range all.Errors {
		var unreadable env.ParseError
		for _, s := range settings {
			if errors.As(err, &unreadable) && s.field == unreadable.Name {
				m.addBroken(s.variable, "cannot be read: %v; write for example %s", unreadable.Err, s.example)
			}
		}
	}
}

// addOptions takes over the *credcache.OptionErrors joined in err, whose fields
// came from these variables.
func (m *mistakes) addOptions(err error, variables map[string]string) {
	switch e := err.(type) { //nolint:errorlint // the tree of joined errors is walked here
	case *credcache.OptionError:
		name := variables[e.Field]
		if name == "" {
			name = variable(e.Field)
		}
		m.add(name, "is wrong: %s", e.Problem)
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			m.addOptions(joined, variables)
		}
	}
}

// warn notes a warning, once.
func (c *config) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.warnings, text) {
		c.warnings = append(c.warnings, text)
	}
}

func (c *config) check(m *mistakes) {
	for _, r := range c.routes {
		c.checkRoute(m, r)
	}
	checkHosts(m, variable("AllowedHosts"), c.AllowedHosts)
	checkOrigins(m, variable("AllowedOrigins"), c.AllowedOrigins)
	if len(c.AllowedHosts) > 0 && c.TLSCertFile == "" && c.ClientTokenFile == "" {
		c.warn("%s: browsers do not say which site asks for a picture or a script by a plain http name beyond loopback; set %s and %s, or %s",
			variable("AllowedHosts"), variable("TLSCertFile"), variable("TLSKeyFile"), variable("ClientTokenFile"))
	}
	c.checkAddresses(m)
	c.checkSources(m)
	c.checkListen(m, "Listen", c.Listen)
	c.checkListen(m, "AdminListen", c.AdminListen)
	c.checkGuards(m)
	c.checkUpstream(m)
	c.checkCAFile(m)
	switch {
	case c.Listen == address{}:
		m.add(variable("Listen"), "cannot be off: write for example 127.0.0.1:4360")
	case c.Listen.network == "systemd" && c.AdminListen.network == "systemd" && (c.Listen.at == "" || c.AdminListen.at == ""):
		m.add(variable("AdminListen"), "and %s are two sockets of systemd: write systemd:NAME for both", variable("Listen"))
	case c.Listen == c.AdminListen && !c.Listen.ephemeral():
		m.add(variable("AdminListen"), "is the same address as %s: choose another, or off", variable("Listen"))
	}
	c.checkLimits(m)
	if c.Splay < 0 {
		m.add(variable("Splay"), "is negative: write for example 20s, or 0s to fetch at once")
	}
	c.checkShutdown(m)
	if c.LogFormat != "text" && c.LogFormat != "json" {
		m.add(variable("LogFormat"), "is %q: write text or json", c.LogFormat)
	}
}

func (c *config) checkListen(m *mistakes, field string, a address) {
	switch {
	case a.local():
	case !c.UnsafeListen:
		m.add(variable(field), "is %s, which other machines can reach and then use the bucket without a key: "+
			"write a loopback address or a Unix socket, or allow it with %s=true", a, variable("UnsafeListen"))
	default:
		if text := c.exposure(field, a.String()); text != "" {
			c.warn("%s", text)
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

// checkGuards checks the files that both listeners are guarded by.
func (c *config) checkGuards(m *mistakes) {
	if c.ClientTokenFile != "" {
		token, err := readToken(context.Background(), c.ClientTokenFile)
		if err != nil {
			m.add(variable("ClientTokenFile"), "cannot be used: %v; name a file with the token in it, alone, on one line", err)
		} else if warning := weakToken(token); warning != "" {
			c.warn("%s", warning)
		}
	}
	switch cert, key := variable("TLSCertFile"), variable("TLSKeyFile"); {
	case c.TLSCertFile == "" && c.TLSKeyFile == "":
	case c.TLSKeyFile == "":
		m.add(key, "is required with %s: name the file with the key of the certificate", cert)
	case c.TLSCertFile == "":
		m.add(cert, "is required with %s: name the file with the certificate", key)
	default:
		if _, err := readCertificate(context.Background(), c.TLSCertFile, c.TLSKeyFile); err != nil {
			m.add(cert, "and %s cannot be used: %v; name a certificate and its key, both as PEM", key, err)
		}
	}
}

func (c *config) checkUpstream(m *mistakes) {
	for _, r := range c.routes {
		r.endpoint, _ = proxy.Route{Bucket: r.Bucket, Region: r.Region, Endpoint: c.Endpoint}.URL()
		if r.endpoint != nil && r.endpoint.Scheme == "http" && !c.dialsLoopback(r.endpoint) {
			c.warn("%s is plain http: whoever can listen on the way reads objects and session tokens; write https://", variable("Endpoint"))
		}
	}
	// A sample says what is wrong, since a configured bucket may be a mistake too.
	sample := proxy.Route{Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Endpoint: c.Endpoint}
	if _, err := sample.URL(); err != nil {
		m.add(variable("Endpoint"), "is wrong: %v; write for example %s", err, proxy.DefaultEndpoint)
	}
	if c.ConnectTo != "" {
		err := checkHostPort(c.ConnectTo)
		if host, _, _ := net.SplitHostPort(c.ConnectTo); err == nil && host == "" {
			err = fmt.Errorf("%s has no host", quoted(c.ConnectTo))
		}
		if err != nil {
			m.add(variable("ConnectTo"), "is wrong: %v; write for example 10.0.0.5:443", err)
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

// checkHosts checks names that requests may have in Host.
func checkHosts(m *mistakes, variable string, hosts []string) {
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			m.add(variable, "is wrong: %v", err)
		}
	}
}

// checkOrigins checks sites as browsers name them: scheme, host and port.
func checkOrigins(m *mistakes, variable string, origins []string) {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			m.add(variable, "is wrong: %s is no origin; write for example https://app.example or http://localhost:8080", quoted(o))
		}
	}
}

// checkProxies reports proxies that net/http would silently go past.
func checkProxies(m *mistakes, vars map[string]string) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		value := vars[name]
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value // net/http takes host:port as well
		}
		u, err := url.Parse(value)
		if err != nil || u.Hostname() == "" {
			m.add(name, "is no URL of a proxy: write for example http://proxy.internal:3128, or remove it")
		}
	}
}

func (c *config) checkCAFile(m *mistakes) {
	if c.CAFile == "" {
		return
	}
	pem, err := smallfile.Read(context.Background(), c.CAFile, smallfile.CertificateLimit)
	if err != nil {
		m.add(variable("CAFile"), "names a file that cannot be read: %v; name a PEM file with certificates", err)
		return
	}
	if c.roots, err = x509.SystemCertPool(); err != nil {
		c.roots = x509.NewCertPool() // a system without certificates
	}
	if !c.roots.AppendCertsFromPEM(pem) {
		m.add(variable("CAFile"), "names %s, which holds no certificate in PEM form", c.CAFile)
	}
}
