package proxy

import (
	"net/http"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// checkKeyFields refuses, where not all keys are allowed, a request that names more
// objects than were checked, in header fields, parameters or form fields: what a
// rename moves away, what a link leads to, where processed pictures are stored. They
// name keys in ways of their own, so they cannot be held to prefixes.
// x-cos-copy-source can (copysource.go).
func (c *candidate) checkKeyFields(req *request, f *form) error {
	for _, field := range req.head.Fields {
		own := http1.HasPrefixFold(field.Name, "x-cos-") || http1.EqualFold(field.Name, picOperationsField)
		if own && cosreq.NamesKeys(string(field.Name)) && !http1.EqualFold(field.Name, copySourceField) {
			if err := c.route.requireAllKeys(string(field.Name), string(field.Value)); err != nil {
				return err
			}
		}
	}
	// None of these is documented as a parameter, but other headers are.
	for _, p := range c.query.Params {
		if !cosreq.NamesKeys(p.Key) {
			continue
		}
		if err := c.route.requireAllKeys(p.Key, p.Value); err != nil {
			return err
		}
	}
	if f == nil {
		return nil
	}
	for _, field := range f.fields {
		if !cosreq.NamesKeys(field.Name) {
			continue
		}
		if err := c.route.requireAllKeys(field.Name, field.Value); err != nil {
			return err
		}
	}
	return nil
}

// requireAllKeys refuses a field unless all keys are allowed, and it means none of
// another bucket.
func (rt *route) requireAllKeys(name, value string) error {
	if rt.allowsAllKeys() {
		if strings.EqualFold(name, picOperationsField) {
			return checkPictureBuckets(value)
		}
		return nil
	}
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"%s names other objects, which cannot be held to prefixes.", name).
		Try("On route "+rt.Name+" it passes only with * in", rt.setting("AllowPrefixes"))
}

// checkPictureBuckets refuses rules that store processed pictures in a bucket that
// they name (COS document "Persistent image processing"). They are not
// parsed, since COS may do that differently; an escape could hide the name.
func checkPictureBuckets(rules string) error {
	if !strings.Contains(strings.ToLower(rules), `"bucket"`) && !strings.Contains(rules, `\u`) {
		return nil
	}
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"Pic-Operations names a bucket, or has an escape that may hide one. Leave it out: pictures are then stored in the bucket of the route.")
}
