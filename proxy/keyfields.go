package proxy

import (
	"net/http"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// checkKeyFields rejects a request with further object keys in header fields, parameters
// or form fields, unless the route allows all object keys: the source of a rename, the
// target of a symbolic link, the names of processed pictures. Their formats differ, so
// cosproxy does not check them against prefixes. Only x-cos-copy-source is checked (copysource.go).
func (c *candidate) checkKeyFields(req *request, f *form) error {
	for _, field := range req.head.Fields {
		ofCOS := http1.HasPrefixFold(field.Name, "x-cos-") || http1.EqualFold(field.Name, picOperationsField)
		if ofCOS && cosreq.NamesKeys(string(field.Name)) && !http1.EqualFold(field.Name, copySourceField) {
			if err := c.route.requireAllKeys(string(field.Name), string(field.Value)); err != nil {
				return err
			}
		}
	}
	// COS does not document these as parameters, but it does for other headers.
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

// requireAllKeys rejects a field unless the route allows all object keys and the field
// does not name another bucket.
func (rt *route) requireAllKeys(name, value string) error {
	if rt.allowsAllKeys() {
		if strings.EqualFold(name, picOperationsField) {
			return checkPictureBuckets(value)
		}
		return nil
	}
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"%s names further objects, which cosproxy cannot check against prefixes. Remove it.", name).
		Try("Route "+rt.Name+" forwards it only with * in", rt.setting("AllowPrefixes"))
}

// checkPictureBuckets rejects rules that store processed pictures in another bucket (COS
// document "Persistent image processing"). It does not parse them, because COS may parse
// them differently, and rejects escapes, which could hide the field name.
func checkPictureBuckets(rules string) error {
	if !strings.Contains(strings.ToLower(rules), `"bucket"`) && !strings.Contains(rules, `\u`) {
		return nil
	}
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"Pic-Operations has a bucket field, or an escape that may hide one. Remove it: COS then stores the pictures in the bucket of the route.")
}
