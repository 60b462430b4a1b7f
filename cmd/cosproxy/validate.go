package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"cosproxy/credcache"
	"cosproxy/proxy"
)

// mistakes gathers what is wrong with a config, for people to read.
type mistakes struct {
	errs   []error
	broken map[string]bool // fields without a usable value
}

// add notes a mistake in a field, unless the field is known to be broken: what
// follows from its first mistake is no news.
func (m *mistakes) add(field, format string, args ...any) {
	if !m.broken[field] {
		m.errs = append(m.errs, fmt.Errorf("%s %s", variable(field), fmt.Sprintf(format, args...)))
	}
}

// addBroken is add for a mistake that leaves the field without a usable value.
func (m *mistakes) addBroken(field, format string, args ...any) {
	m.add(field, format, args...)
	m.broken[field] = true
}

func (m *mistakes) addParsed(err error) {
	var all env.AggregateError
	errors.As(err, &all)
	for _, err := range all.Errors {
		var empty env.EmptyVarError
		var unreadable env.ParseError
		for _, s := range settings() {
			switch {
			case errors.As(err, &empty) && s.variable == empty.Key:
				m.addBroken(s.field, "is required: write for example %s", s.example)
			case errors.As(err, &unreadable) && s.field == unreadable.Name:
				m.addBroken(s.field, "cannot be read: %v; write for example %s", unreadable.Err, s.example)
			}
		}
	}
}

// addOptions takes over the *credcache.OptionErrors joined in err. Their fields
// are called as config's, except those in renamed.
func (m *mistakes) addOptions(err error, renamed map[string]string) {
	switch e := err.(type) { //nolint:errorlint // the tree of joined errors is walked here
	case *credcache.OptionError:
		m.add(cmp.Or(renamed[e.Field], e.Field), "is wrong: %s", e.Problem)
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			m.addOptions(joined, renamed)
		}
	}
}

func (c *config) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

func (c *config) check(m *mistakes) {
	c.checkScope(m)
	c.checkSource(m)
	c.checkListen(m, "Listen", c.Listen)
	c.checkListen(m, "AdminListen", c.AdminListen)
	c.checkUpstream(m)
	c.checkCAFile(m)
	switch {
	case c.Listen == address{}:
		m.add("Listen", "cannot be off: write for example 127.0.0.1:4360")
	case c.Listen == c.AdminListen && !c.Listen.ephemeral():
		m.add("AdminListen", "is the same address as %s: choose another, or off", variable("Listen"))
	}
	if c.DrainTimeout < 0 {
		m.add("DrainTimeout", "is negative: write for example 30s, or 0s to cut off at once")
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		m.add("LogFormat", "is %q: write text or json", c.LogFormat)
	}
}

func (c *config) checkScope(m *mistakes) {
	m.addOptions(c.scope().Validate(), nil)
	if slices.Contains(c.Prefixes, "*") {
		c.warn("%s has *: applications can touch every object in the bucket", variable("Prefixes"))
	}
	if slices.Contains(c.Actions, "*") || slices.Contains(c.Actions, "name/cos:*") {
		c.warn("%s has *: applications can do all that COS offers, such as deleting objects and changing ACLs", variable("Actions"))
	}
}

func (c *config) checkSource(m *mistakes) {
	readSecret(m, "SecretID", &c.SecretID, c.SecretIDFile)
	readSecret(m, "SecretKey", &c.SecretKey, c.SecretKeyFile)
	readSecret(m, "Token", &c.Token, c.TokenFile)
	if c.SecretID == "" {
		m.addBroken("SecretID", "is required: write the SecretId, or name a file that holds it in %s", variable("SecretIDFile"))
	}
	if c.SecretKey == "" {
		m.addBroken("SecretKey", "is required: write the SecretKey, or name a file that holds it in %s", variable("SecretKeyFile"))
	}

	source := variable("Source")
	switch {
	case c.Source == "auto" && c.Token != "":
		c.Source = "static"
	case c.Source == "auto":
		c.Source = "sts"
	case c.Source == "sts" && c.Token != "":
		m.add("Token", "does not go with %s=sts, since STS takes no temporary key: remove it, or write %[1]s=static", source)
	case c.Source == "static" && c.Token == "":
		c.warn("%s=static without %s: requests are signed with a long-lived key, which no prefixes or actions limit at COS", source, variable("Token"))
	case c.Source != "sts" && c.Source != "static":
		m.add("Source", "is %q, which this version does not have: write auto, sts or static", c.Source)
		return
	}
	_, err := c.source(nil)
	m.addOptions(err, map[string]string{"Endpoint": "STSEndpoint"})
	if u, err := url.Parse(c.STSEndpoint); err == nil && u.Scheme == "http" && !isLocalHost(u.Hostname()) {
		c.warn("%s=%s is plain http: whoever can listen on the way reads the keys; write https://", variable("STSEndpoint"), c.STSEndpoint)
	}
}

// readSecret sets value to the content of the file at path, if one is given.
func readSecret[T ~string](m *mistakes, field string, value *T, path string) {
	*value = T(strings.TrimSpace(string(*value)))
	if path == "" {
		return
	}
	file := field + "File"
	content, err := os.ReadFile(path)
	text := T(strings.TrimSpace(string(content)))
	switch {
	case *value != "":
		m.add(file, "is set as well as %s: keep one of the two", variable(field))
	case err != nil:
		m.add(file, "cannot be read: %v", err)
	case text == "":
		m.add(file, "names an empty file, %s", path)
	}
	*value = text
	m.broken[field] = text == ""
}

func (c *config) checkListen(m *mistakes, field string, a address) {
	switch {
	case a.local():
	case c.UnsafeListen:
		c.warn("%s=%s can be reached from other machines, and whoever reaches it needs no key", variable(field), a)
	default:
		m.add(field, "is %s, which other machines can reach and then use the bucket without a key: "+
			"write a loopback address or a Unix socket, or allow it with %s=true", a, variable("UnsafeListen"))
	}
}

func (c *config) checkUpstream(m *mistakes) {
	// A sample bucket stands in, since the configured one may be a mistake too.
	sample := proxy.Route{Bucket: "examplebucket-1250000000", Region: "ap-guangzhou", Endpoint: c.Endpoint}
	if _, err := sample.URL(); err != nil {
		m.add("Endpoint", "is wrong: %v; write for example %s", err, proxy.DefaultEndpoint)
	}
	if c.ConnectTo != "" {
		if err := checkHostPort(c.ConnectTo); err != nil {
			m.add("ConnectTo", "is wrong: %v; write for example 10.0.0.5:443", err)
		}
	}
}

func (c *config) checkCAFile(m *mistakes) {
	if c.CAFile == "" {
		return
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		m.add("CAFile", "cannot be read: %v", err)
		return
	}
	if c.roots, err = x509.SystemCertPool(); err != nil {
		c.roots = x509.NewCertPool() // a system without certificates
	}
	if !c.roots.AppendCertsFromPEM(pem) {
		m.add("CAFile", "names %s, which holds no certificate in PEM form", c.CAFile)
	}
}
