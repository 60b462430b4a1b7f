package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"cosproxy/credcache"
	"cosproxy/credcache/smallfile"
)

// resolved is a config together with everything that its settings refer to. It is ready
// to be served.
type resolved struct {
	config                     // Source includes the secrets from files
	routes      []*route       // in the order of routeConfigs
	roots       *x509.CertPool // of the system and CAFile; nil without CAFile
	jwksRoots   *x509.CertPool // of JWKSCAFile; nil without it
	socketOwner owner
	warnings    []string // risky or suspicious settings that are allowed
}

// loadConfig parses, validates and resolves the settings. The error lists all problems,
// one per line and without secrets. The result is never nil; after an error it holds
// what the valid settings yield.
func loadConfig(environ []string) (*resolved, error) {
	p := newProblems()
	vars := env.ToMap(environ)
	c := parse(vars, p)
	rejectIssuerSettings(vars, p)
	validate(c, p)
	r := resolve(*c, p)
	r.warnings = p.warnings
	return r, p.err()
}

// resolve reads the files that c refers to, and looks up users and addresses of this
// machine. It adds what it cannot use to p.
func resolve(c config, p *problems) *resolved {
	r := &resolved{config: c}
	for _, rc := range c.routeConfigs {
		actions, _ := credcache.ExpandActions(rc.AllowActions) // validate has reported the error
		r.routes = append(r.routes, &route{routeConfig: rc, endpoint: rc.bucketURL(c.Endpoint), actions: actions})
	}
	r.resolveSources(p)
	r.resolveSocketOwner(p)
	r.resolveGuards(p)
	r.resolveRoots(p)
	r.resolveLoops(p)
	return r
}

// resolveSources reads the secrets from their files, if a source uses them, and lets
// each source check its options.
func (c *resolved) resolveSources(p *problems) {
	for _, r := range c.routes {
		if slices.Contains(sourceKinds[r.Source].needs, "SecretID") {
			c.resolveSecrets(p)
			break
		}
	}
	for _, r := range c.routes {
		c.Source.checkOptions(p, &r.routeConfig)
	}
}

func (c *resolved) resolveSecrets(p *problems) {
	for _, field := range secretFields() {
		path, file := c.Source.value(field+"File"), field+"File"
		if path == "" {
			continue
		}
		content, err := smallfile.Read(context.Background(), path, smallfile.SecretLimit)
		value := strings.TrimSpace(string(content))
		switch {
		case c.Source.value(field) != "": // validate has reported it
		case err != nil:
			p.addInvalid(variable(file), "is a file that cannot be read: %v; use a file that contains the value alone", err)
		case value == "":
			p.addInvalid(variable(file), "is an empty file: %s; write the value to it", path)
		}
		p.invalid[variable(field)] = value == ""
		validateSecret(p, field, file, value)
		c.Source.setValue(field, value)
	}
}

// resolveGuards reads the tokens and the certificate.
func (c *resolved) resolveGuards(p *problems) {
	client := resolveToken("ClientTokenFile", c.ClientTokenFile, p)
	quit := resolveToken("QuitTokenFile", c.QuitTokenFile, p)
	if quit != "" && quit == client {
		p.warn("%s contains the client token, so every client can shut down cosproxy; use another token", variable("QuitTokenFile"))
	}
	if c.TLSCertFile == "" || c.TLSKeyFile == "" {
		return
	}
	if _, err := readCertificate(context.Background(), c.TLSCertFile, c.TLSKeyFile); err != nil {
		p.add(variable("TLSCertFile"), "and %s cannot be used: %v; use a certificate and its private key, both as PEM", variable("TLSKeyFile"), err)
	}
}

// resolveToken returns the token in the file at path, or "" without a usable one.
func resolveToken(field, path string, p *problems) string {
	if path == "" {
		return ""
	}
	token, err := readToken(context.Background(), path)
	if err != nil {
		p.add(variable(field), "cannot be used: %v; use a file that contains the token alone, on one line", err)
		return ""
	}
	if warning := weakToken(field, token); warning != "" {
		p.warn("%s", warning)
	}
	return token
}

// resolveRoots sets c.roots to the CA certificates of CAFile and the system. If the
// system has none, c.roots gets the embedded ones instead.
func (c *resolved) resolveRoots(p *problems) {
	if c.CAFile == "" {
		return
	}
	pem, err := smallfile.Read(context.Background(), c.CAFile, smallfile.CertificateLimit)
	if err != nil {
		p.add(variable("CAFile"), "is a file that cannot be read: %v; use a PEM file with certificates", err)
		return
	}
	setFallbackRoots()
	if c.roots, err = x509.SystemCertPool(); err != nil {
		c.roots = fallbackRoots()
	}
	if !c.roots.AppendCertsFromPEM(pem) {
		p.add(variable("CAFile"), "is %s, which contains no PEM certificate; use a PEM file with certificates", c.CAFile)
	}
}

// owner is the user and the group to set on a file. The zero value changes neither.
type owner struct {
	given    bool
	uid, gid int // -1 means no change
}

// resolveSocketOwner looks up the names in SocketOwner.
func (c *resolved) resolveSocketOwner(p *problems) {
	o, err := c.SocketOwner.lookUp()
	if err != nil {
		s := settingOf("SocketOwner")
		p.addInvalid(s.variable, "is invalid: %v (example: %s)", err, s.example)
		return
	}
	c.socketOwner = o
}

func (o ownerName) lookUp() (owner, error) {
	if o == (ownerName{}) {
		return owner{}, nil
	}
	uid, err := lookUpID(o.user, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", fmt.Errorf("this machine has no user %q", name)
		}
		return u.Uid, nil
	})
	if err != nil {
		return owner{}, err
	}
	gid, err := lookUpID(o.group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", fmt.Errorf("this machine has no group %q", name)
		}
		return g.Gid, nil
	})
	return owner{given: true, uid: uid, gid: gid}, err
}

// lookUpID returns the numeric ID of a user or group, and -1 for "". name may be a number,
// since a container often has no names.
func lookUpID(name string, id func(name string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	number, err := id(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(number)
}
