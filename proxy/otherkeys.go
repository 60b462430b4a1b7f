package proxy

import "net/http"

// otherKeys are the headers, and form fields, in which a request names objects
// beside the one in its path: what a rename moves away, what a link leads to,
// where processed pictures are stored. They name keys in ways of their own, so
// they cannot be held to prefixes. x-cos-copy-source can (copysource.go).
var otherKeys = []string{"X-Cos-Rename-Source", "X-Cos-Symlink-Target", "Pic-Operations"}

// checkOtherKeys refuses, where not all keys are allowed, a request that touches
// more of them than were checked.
func (t target) checkOtherKeys(h http.Header) error {
	for _, name := range otherKeys {
		if h[name] != nil {
			return t.route.authorizeAll(name)
		}
	}
	// None of these is documented as a parameter, but other headers are.
	for _, p := range t.query.params {
		if isOtherKey(p.key) {
			return t.route.authorizeAll(p.key)
		}
	}
	return nil
}

// checkOtherKeys does the same for the fields of a form.
func (f *form) checkOtherKeys(rt *route) error {
	for _, field := range f.fields {
		if isOtherKey(field.Name) {
			return rt.authorizeAll(field.Name)
		}
	}
	return nil
}

func isOtherKey(name string) bool {
	if len(name) < len("Pic-Operations") { // most are
		return false
	}
	name = http.CanonicalHeaderKey(name)
	for _, other := range otherKeys {
		if name == other {
			return true
		}
	}
	return name == "X-Cos-Copy-Source"
}

// authorizeAll refuses what name stands for unless all keys are allowed.
func (rt Route) authorizeAll(name string) error {
	if rt.coversPrefix("") {
		return nil
	}
	return errorf(http.StatusForbidden, "AccessDenied",
		"%s names other objects, which cannot be held to %sPREFIXES, so on route %s it passes only where that is *.",
		name, rt.Settings, rt.Name)
}
