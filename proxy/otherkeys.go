package proxy

import (
	"net/http"
	"strings"
)

// namesOtherKeys are the headers, parameters and form fields, in lower case, in
// which a request names objects beside the one in its path: what a rename moves
// away, what a link leads to, where processed pictures are stored. They cannot
// be held to prefixes, since they name keys in ways of their own. A header
// x-cos-copy-source can (copysource.go), but that parameter is not documented.
var namesOtherKeys = map[string]bool{
	"x-cos-rename-source":  true,
	"x-cos-symlink-target": true,
	"pic-operations":       true,
}

// checkOtherKeys refuses, where not all keys are allowed, a request that touches
// more of them than were checked.
func (t target) checkOtherKeys(h http.Header) error {
	if t.route.coversPrefix("") {
		return nil
	}
	for name := range namesOtherKeys {
		if h[http.CanonicalHeaderKey(name)] != nil {
			return t.route.deniedOtherKeys(name)
		}
	}
	for _, p := range t.query.params {
		if name := strings.ToLower(p.key); namesOtherKeys[name] || name == "x-cos-copy-source" {
			return t.route.deniedOtherKeys(name)
		}
	}
	return nil
}

// checkOtherKeys does the same for the fields of a form.
func (f *form) checkOtherKeys(rt *route) error {
	if rt.coversPrefix("") {
		return nil
	}
	for _, field := range f.fields {
		if name := strings.ToLower(field.Name); namesOtherKeys[name] || name == "x-cos-copy-source" {
			return rt.deniedOtherKeys(name)
		}
	}
	return nil
}

func (rt Route) deniedOtherKeys(name string) error {
	return errorf(http.StatusForbidden, "AccessDenied",
		"%s names other objects, which cannot be held to %sPREFIXES, so on route %s it passes only where that is *.",
		name, rt.Settings, rt.Name)
}
