package main

import (
	"cmp"
	"slices"
	"strings"

	"cosproxy/integration/cosemu"
)

// environment is a process environment, with the names of the variables that cosemu
// has set.
type environment struct {
	variables []string
	names     []string
}

// lookup returns the value of name in environ: the last one if it is repeated.
func lookup(environ []string, name string) string {
	for _, pair := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

func (e environment) get(name string) string { return lookup(e.variables, name) }

func (e *environment) unset(name string) {
	e.variables = slices.DeleteFunc(e.variables, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
}

func (e *environment) set(name, value string) {
	e.unset(name)
	e.variables = append(e.variables, name+"="+value)
	e.names = append(e.names, name)
}

// setDefault sets name unless it has a value.
func (e *environment) setDefault(name, value string) { e.set(name, cmp.Or(e.get(name), value)) }

// childEnvironment returns environ with the variables that a COS program needs to use
// srv, except those of its credentials. It removes the variables that lead to
// credentials of the caller.
func childEnvironment(environ []string, o cosemu.Options, srv *cosemu.Server) environment {
	e := environment{variables: slices.Clone(environ)}
	for _, name := range credentialVariables {
		e.unset(name)
	}
	prefixes := routePrefixes(environ)
	for _, prefix := range prefixes {
		e.unset(prefix + "SOURCE")
	}
	e.setDefault("COSPROXY_REGION", o.Region)
	if len(prefixes) == 0 { // cosproxy rejects these together with numbered routes
		e.setDefault("COSPROXY_BUCKET", o.Buckets[0])
		e.setDefault("COSPROXY_ALLOW_PREFIXES", "*")
		e.setDefault("COSPROXY_ALLOW_ACTIONS", "read,write,upload,list,delete")
	}
	e.setDefault("COSPROXY_SPLAY", "0s") // this STS has no quota
	e.set("COSPROXY_ENDPOINT", "http://{bucket}.cos.{region}.myqcloud.com")
	e.set("COSPROXY_CONNECT_TO", srv.COSAddr())
	e.set("COSPROXY_STS_ENDPOINT", srv.STSURL())
	e.set("COSEMU_COS_ADDR", srv.COSAddr())
	e.set("COSEMU_STS_URL", srv.STSURL())
	return e
}

// quote quotes s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
