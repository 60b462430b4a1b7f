package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Route is one bucket and what may be done in it.
type Route struct {
	// Bucket is the full name with APPID, such as examplebucket-1250000000.
	Bucket string
	// Region is the COS region, such as ap-guangzhou.
	Region string
	// Endpoint is the URL template of the bucket's host, in which {bucket} and
	// {region} are replaced. Empty means DefaultEndpoint. It has no path.
	Endpoint string
	// Actions are the COS actions that may pass, written name/cos:GetObject;
	// one that ends in * allows every action with that beginning.
	Actions []string
	// Prefixes limit the object keys: dir/* allows what begins with dir/, a
	// name without * allows that key alone, * allows every key.
	Prefixes []string
}

// DefaultEndpoint is the public address of a bucket (COS document "Regions and
// access domain names").
const DefaultEndpoint = "https://{bucket}.cos.{region}.myqcloud.com"

// URL returns the expanded endpoint. It fails if that is not a plain http or
// https URL.
func (rt Route) URL() (*url.URL, error) {
	template := rt.Endpoint
	if template == "" {
		template = DefaultEndpoint
	}
	if strings.Contains(template, "@") { // it is not repeated: there may be a password in it
		return nil, errors.New("proxy: an endpoint may not have a user; give a scheme, a host and a port")
	}
	text := strings.NewReplacer("{bucket}", rt.Bucket, "{region}", rt.Region).Replace(template)
	u, err := url.Parse(text)
	switch {
	case strings.ContainsAny(text, "{}"):
		return nil, fmt.Errorf("proxy: endpoint %q has an unknown placeholder; only {bucket} and {region} are replaced", template)
	case err != nil:
		return nil, fmt.Errorf("proxy: endpoint %q is not a URL: %w", template, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("proxy: endpoint %q must begin with https:// or http://", template)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("proxy: the host of endpoint %q is not ASCII; write it in punycode", template)
	case u.Hostname() == "":
		return nil, fmt.Errorf("proxy: endpoint %q has no host", template)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("proxy: endpoint %q may only have a scheme, a host and a port", template)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// objectKey returns the key that r means, empty for the bucket itself. The
// path is decoded once and never cleaned: //, . and %2F are part of keys.
func objectKey(r *http.Request) (string, error) {
	p := r.URL.Path
	if !strings.HasPrefix(p, "/") {
		return "", errorf(http.StatusBadRequest, "InvalidURI",
			"The request target is not a path. Send the object key as /key.")
	}
	if p != "/" && path.Clean(p) == "/" {
		// COS would read such a path as the bucket: a download would become a
		// listing. The official Go and Node SDKs refuse these keys as well.
		return "", errorf(http.StatusBadRequest, "InvalidURI",
			"The object key %q would be read by COS as the bucket itself. Choose another key.", p[1:])
	}
	return p[1:], nil
}

// coversKey reports whether the route's prefixes allow the key.
func (rt Route) coversKey(key string) bool {
	for _, p := range rt.Prefixes {
		if stem, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(key, stem) || key == p {
			return true
		}
	}
	return false
}

// coversListing reports whether all keys that q lists are allowed. If it has
// several prefixes, each must be, since COS may go by any of them.
func (rt Route) coversListing(q query) bool {
	for _, p := range q.params {
		if p.key == "prefix" && !rt.coversPrefix(p.value) {
			return false
		}
	}
	return rt.coversPrefix(q.get("prefix"))
}

// coversPrefix reports whether all keys that begin with prefix are allowed.
func (rt Route) coversPrefix(prefix string) bool {
	for _, p := range rt.Prefixes {
		if stem, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(prefix, stem) {
			return true
		}
	}
	return false
}

// coversAction reports whether the route allows the action.
func (rt Route) coversAction(action string) bool {
	for _, a := range rt.Actions {
		if stem, ok := strings.CutSuffix(a, "*"); ok && strings.HasPrefix(action, stem) || action == a {
			return true
		}
	}
	return false
}
