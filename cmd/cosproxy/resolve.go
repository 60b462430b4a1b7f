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

// resolved is a config with what its settings refer to: ready to be served.
type resolved struct {
	config                     // Source also has the secrets from files
	routes      []*route       // as routeConfigs
	roots       *x509.CertPool // the system's and CAFile's; nil without CAFile
	socketOwner owner
	warnings    []string // what is allowed and should be seen all the same
}

// loadConfig parses, validates and resolves the settings. The error lists all
// problems, one a line, without a secret; what the others lead to is there
// nevertheless.
func loadConfig(environ []string) (*resolved, error) {
	p := newProblems()
	c := parse(env.ToMap(environ), p)
	validate(c, p)
	r := resolve(*c, p)
	r.warnings = p.warnings
	return r, p.err()
}

// resolve reads the files that c names, and asks this machine about its users and
// addresses. What cannot be used is added to p.
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

// resolveSources reads the secrets from their files, if a source uses them, and
// has each source check its options.
func (c *resolved) resolveSources(p *problems) {
	for _, r := range c.routes {
		if slices.Contains(sourceKinds[r.Source].needs, "SecretID") {
			c.resolveSecrets(p)
			break
		}
	}
	for _, r := range c.routes {
		if kind, known := sourceKinds[r.Source]; known {
			_, err := kind.new(&c.Source, r.Duration, new(transports))
			p.addOptions(err, kind.variables(&r.routeConfig))
		}
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
			p.addInvalid(variable(file), "names a file that cannot be read: %v; name a file that holds the value alone", err)
		case value == "":
			p.addInvalid(variable(file), "names an empty file, %s", path)
		}
		p.invalid[variable(field)] = value == ""
		validateSecret(p, field, file, value)
		c.Source.setValue(field, value)
	}
}

// resolveGuards reads the files that both listeners are guarded by.
func (c *resolved) resolveGuards(p *problems) {
	if c.ClientTokenFile != "" {
		token, err := readToken(context.Background(), c.ClientTokenFile)
		if err != nil {
			p.add(variable("ClientTokenFile"), "cannot be used: %v; name a file with the token in it, alone, on one line", err)
		} else if warning := weakToken(token); warning != "" {
			p.warn("%s", warning)
		}
	}
	if c.TLSCertFile == "" || c.TLSKeyFile == "" {
		return
	}
	if _, err := readCertificate(context.Background(), c.TLSCertFile, c.TLSKeyFile); err != nil {
		p.add(variable("TLSCertFile"), "and %s cannot be used: %v; name a certificate and its key, both as PEM", variable("TLSKeyFile"), err)
	}
}

// resolveRoots adds the certificates in CAFile to those of the system.
func (c *resolved) resolveRoots(p *problems) {
	if c.CAFile == "" {
		return
	}
	pem, err := smallfile.Read(context.Background(), c.CAFile, smallfile.CertificateLimit)
	if err != nil {
		p.add(variable("CAFile"), "names a file that cannot be read: %v; name a PEM file with certificates", err)
		return
	}
	if c.roots, err = x509.SystemCertPool(); err != nil {
		c.roots = x509.NewCertPool() // a system without certificates
	}
	if !c.roots.AppendCertsFromPEM(pem) {
		p.add(variable("CAFile"), "names %s, which holds no certificate in PEM form", c.CAFile)
	}
}

// owner is the user and the group that a file is given to. The zero value leaves
// both as they are.
type owner struct {
	given    bool
	uid, gid int // -1 leaves it as it is
}

// resolveSocketOwner looks the names in SocketOwner up.
func (c *resolved) resolveSocketOwner(p *problems) {
	o, err := c.SocketOwner.lookUp()
	if err != nil {
		s := settingOf("SocketOwner")
		p.addInvalid(s.variable, "cannot be read: %v; write for example %s", err, s.example)
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
			return "", fmt.Errorf("there is no user %q on this machine", name)
		}
		return u.Uid, nil
	})
	if err != nil {
		return owner{}, err
	}
	gid, err := lookUpID(o.group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", fmt.Errorf("there is no group %q on this machine", name)
		}
		return g.Gid, nil
	})
	return owner{given: true, uid: uid, gid: gid}, err
}

// lookUpID is the number of a user or group, which may be written as a number
// itself: a container has few names. It is -1 for "".
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
