package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cosproxy/integration/cosemu"
)

const (
	defaultBucket = "examplebucket-1250000000"
	defaultRegion = "ap-guangzhou"
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

// served returns the buckets and the region to serve: those of the flags, and
// the bucket of the environment, which CMD uses before any other.
func served(flagBuckets, flagRegion string, environ []string) (buckets []string, region string, err error) {
	if bucket := lookup(environ, "COSPROXY_BUCKET"); bucket != "" {
		buckets = []string{bucket}
	}
	for name := range strings.SplitSeq(flagBuckets, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(buckets, name) {
			buckets = append(buckets, name)
		}
	}
	if len(buckets) == 0 {
		buckets = []string{defaultBucket}
	}
	envRegion := lookup(environ, "COSPROXY_REGION")
	if envRegion != "" && flagRegion != "" && envRegion != flagRegion {
		return nil, "", fmt.Errorf("-region is %s, but COSPROXY_REGION is %s: drop one of them", flagRegion, envRegion)
	}
	return buckets, cmp.Or(flagRegion, envRegion, defaultRegion), nil
}

// childEnvironment is environ with what a COS program needs to use srv, but for
// its keys. Those of the caller's own account are taken out.
func childEnvironment(environ []string, o cosemu.Options, srv *cosemu.Server) environment {
	e := environment{all: slices.Clone(environ)}
	for _, name := range keyVariables {
		e.drop(name)
	}
	e.keep("COSPROXY_BUCKET", o.Buckets[0])
	e.keep("COSPROXY_REGION", o.Region)
	e.keep("COSPROXY_PREFIXES", "*")
	e.keep("COSPROXY_ACTIONS", "read,write,upload,list,delete")
	e.set("COSPROXY_ENDPOINT", "http://{bucket}.cos.{region}.myqcloud.com")
	e.set("COSPROXY_CONNECT_TO", srv.COSAddr())
	e.set("COSPROXY_STS_ENDPOINT", srv.STSURL())
	e.set("COSEMU_COS_ADDR", srv.COSAddr())
	e.set("COSEMU_STS_URL", srv.STSURL())
	return e
}

// quote writes s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
