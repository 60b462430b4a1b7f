package main

import (
	"cmp"
	"slices"
	"strings"

	"cosproxy/integration/cosemu"
)

// environment is a process environment that knows which of its variables cosemu
// has set.
type environment struct {
	all  []string
	ours []string
}

// lookup returns the value of name in environ, the last one when it is repeated.
func lookup(environ []string, name string) string {
	for _, pair := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

func (e environment) get(name string) string { return lookup(e.all, name) }

func (e *environment) drop(name string) {
	e.all = slices.DeleteFunc(e.all, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
}

func (e *environment) set(name, value string) {
	e.drop(name)
	e.all = append(e.all, name+"="+value)
	e.ours = append(e.ours, name)
}

// keep sets name unless it has a value already.
func (e *environment) keep(name, value string) { e.set(name, cmp.Or(e.get(name), value)) }

// childEnvironment is environ with what a COS program needs to use srv, but for
// its keys. Those of the caller's own account are taken out.
func childEnvironment(environ []string, o cosemu.Options, srv *cosemu.Server) environment {
	e := environment{all: slices.Clone(environ)}
	for _, name := range keyVariables {
		e.drop(name)
	}
	routes := routeSettings(environ)
	for _, begin := range routes {
		e.drop(begin + "SOURCE")
	}
	e.keep("COSPROXY_REGION", o.Region)
	if len(routes) == 0 { // cosproxy rejects these if there are numbered routes
		e.keep("COSPROXY_BUCKET", o.Buckets[0])
		e.keep("COSPROXY_ALLOW_PREFIXES", "*")
		e.keep("COSPROXY_ALLOW_ACTIONS", "read,write,upload,list,delete")
	}
	e.keep("COSPROXY_SPLAY", "0s") // this STS has no quota
	e.set("COSPROXY_ENDPOINT", "http://{bucket}.cos.{region}.myqcloud.com")
	e.set("COSPROXY_CONNECT_TO", srv.COSAddr())
	e.set("COSPROXY_STS_ENDPOINT", srv.STSURL())
	e.set("COSEMU_COS_ADDR", srv.COSAddr())
	e.set("COSEMU_STS_URL", srv.STSURL())
	return e
}

// quote writes s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
