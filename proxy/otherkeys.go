package proxy

import (
	"net/http"
	"strings"
)

// otherKeys are the headers, and form fields, in which a request names objects
// beside the one in its path: what a rename moves away, what a link leads to,
// where processed pictures are stored. They name keys in ways of their own, so
// they cannot be held to prefixes. x-cos-copy-source can (copysource.go).
var otherKeys = []string{"X-Cos-Rename-Source", "X-Cos-Symlink-Target", "Pic-Operations"}

// checkOtherKeys refuses, where not all keys are allowed, a request that touches
// more of them than were checked.
func (t target) checkOtherKeys(h http.Header) error {
	for _, name := range otherKeys {
		for _, value := range h[name] {
			if err := t.route.authorizeAll(name, value); err != nil {
				return err
			}
		}
	}
	// None of these is documented as a parameter, but other headers are.
	for _, p := range t.query.params {
		if isOtherKey(p.key) {
			return t.route.authorizeAll(p.key, p.value)
		}
	}
	return nil
}

// checkOtherKeys does the same for the fields of a form.
func (f *form) checkOtherKeys(rt *route) error {
	for _, field := range f.fields {
		if isOtherKey(field.Name) {
			return rt.authorizeAll(field.Name, field.Value)
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

// authorizeAll refuses what name stands for unless all keys are allowed, and none of
// another bucket is meant.
func (rt Route) authorizeAll(name, value string) error {
	if rt.coversPrefix("") {
		if strings.EqualFold(name, "Pic-Operations") {
			return checkPictureBuckets(value)
		}
		return nil
	}
	return errorf(http.StatusForbidden, "AccessDenied",
		"%s names other objects, which cannot be held to %sPREFIXES, so on route %s it passes only where that is *.",
		name, rt.Settings, rt.Name)
}

// checkPictureBuckets refuses rules that store processed pictures in a bucket of
// their own naming (COS document "Persistent image processing"). They are not
// parsed, since COS may do that differently; an escape could hide the name.
func checkPictureBuckets(rules string) error {
	if !strings.Contains(strings.ToLower(rules), `"bucket"`) && !strings.Contains(rules, `\u`) {
		return nil
	}
	return errorf(http.StatusForbidden, "AccessDenied",
		"Pic-Operations names a bucket, or has an escape that may hide one. Leave it out: pictures are then stored in the bucket of the route.")
}
