package proxy

import (
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// bodyKeys are the object keys in a body.
type bodyKeys struct {
	deleted []string // of a delete list
	form    *form    // nil if the body is not a form
}

// authorize returns the first candidate whose route allows the request, or the error of
// the first candidate if no route does. COS checks the same rules, because they are the
// policy of the credentials, but only this error can name the setting to change.
func authorize(candidates []candidate, req *request, keys bodyKeys) (*candidate, error) {
	var firstErr error
	for i := range candidates {
		c := &candidates[i]
		err := c.check(req, keys)
		if err == nil {
			return c, nil
		}
		if firstErr == nil {
			firstErr = err
		}
	}
	return nil, firstErr
}

// filterByAction removes the candidates whose route does not allow the actions of the
// request, before the body is read. It does not check object keys. If no candidate
// remains, it returns the error of the first one.
func filterByAction(candidates []candidate, req *request) ([]candidate, error) {
	kept := candidates[:0]
	var firstErr error
	for _, c := range candidates {
		err := c.checkAction(req)
		if err == nil {
			err = c.route.authorizeNeeds(c.op)
		}
		switch {
		case err == nil:
			kept = append(kept, c)
		case firstErr == nil:
			firstErr = err
		}
	}
	if len(kept) == 0 {
		return nil, firstErr
	}
	return kept, nil
}

// check is the complete authorization of a request on one route.
func (c *candidate) check(req *request, keys bodyKeys) error {
	if keys.form != nil {
		if err := c.classifyForm(keys.form); err != nil {
			return err
		}
	}
	if err := c.checkAction(req); err != nil {
		return err
	}
	rt := c.route
	switch {
	case c.op.Key != "" && !rt.allowsKey(c.op.Key):
		return rt.denied(c.op.Action, c.op.Key, "AllowPrefixes")
	case c.op.Needs(cosreq.IsListing) && !rt.allowsListing(c.query):
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"%s under prefix %q in bucket %s is not allowed on route %s. List with a prefix inside %s,",
			c.op.Action, c.query.Get("prefix"), rt.Bucket, rt.Name, strings.Join(rt.AllowPrefixes, ", ")).
			Try("or extend", rt.setting("AllowPrefixes"))
	}
	if err := rt.authorizeNeeds(c.op); err != nil {
		return err
	}
	if c.source != nil {
		if err := rt.authorizeCopy(c.source); err != nil {
			return err
		}
	}
	if err := c.checkKeyFields(req, keys.form); err != nil {
		return err
	}
	for _, key := range keys.deleted {
		if !rt.allowsKey(key) {
			return rt.denied(cosreq.DeleteObject, key, "AllowPrefixes")
		}
	}
	return nil
}

func (c *candidate) checkAction(req *request) error {
	rt := c.route
	switch {
	case c.op.Action == "" && !rt.allowsAllActions():
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"COS documents no action for %s with this query on %q. Check the query parameters.", req.method, c.op.Key).
			Try("Route "+rt.Name+" forwards such requests only with * in", rt.setting("AllowActions"))
	case c.op.Action == cosreq.GetService: // listBuckets selected a route that allows it
	case c.op.Action != "" && !rt.allowsAction(c.op.Action):
		return rt.denied(c.op.Action, c.op.Key, "AllowActions")
	}
	return nil
}

// authorizeNeeds checks the further actions that a request needs, and that COS documents
// all of its query parameters.
func (rt *route) authorizeNeeds(op cosreq.Operation) error {
	if rt.allowsAllActions() {
		return nil
	}
	for _, n := range op.Also {
		switch {
		case n.Action == "":
			return coserr.New(http.StatusForbidden, "AccessDenied",
				"COS documents no action for %q in this request. Remove it from the request.", coserr.Truncate(n.By)).
				Try("Route "+rt.Name+" forwards it only with * in", rt.setting("AllowActions"))
		case !rt.allowsAction(n.Action):
			return coserr.New(http.StatusForbidden, "AccessDenied",
				"%[1]s on %[2]q in bucket %[3]s requires %[4]s, which is not allowed on route %[5]s of this sidecar. Remove %[1]s from the request,",
				n.By, coserr.Truncate(op.Key), rt.Bucket, n.Action, rt.Name).
				Try("or extend", rt.setting("AllowActions"))
		}
	}
	if len(op.Unknown) > 0 {
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"COS does not document the query parameter %q for this request. Remove the parameter.", coserr.Truncate(op.Unknown[0])).
			Try("Route "+rt.Name+" forwards it only with * in", rt.setting("AllowActions"))
	}
	return nil
}

func (rt *route) denied(action, key, setting string) error {
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"%s on %q in bucket %s is not allowed on route %s of this sidecar.", action, coserr.Truncate(key), rt.Bucket, rt.Name).
		Try("To allow it, extend", rt.setting(setting))
}

// authorizeCopy checks that a copy may read its source: GetObject on an object key in the
// bucket of the route.
func (rt *route) authorizeCopy(s *copySource) error {
	sameBucket := func(other *route) bool { return other.Bucket == rt.Bucket && other.Region == rt.Region }
	switch {
	case !slices.ContainsFunc(s.from, sameBucket):
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"name/cos:GetObject on %q of %s is not allowed. A copy on route %s can only read from its bucket, %s in %s. Copy from that bucket, or download the object and upload it.",
			s.key, coserr.Host(s.host), rt.Name, rt.Bucket, rt.Region)
	case s.key == "":
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "%s has a bucket but no object key. Send %s.", s.header, s.example())
	case !rt.allowsAction(cosreq.GetObject):
		return rt.denied(cosreq.GetObject, s.key, "AllowActions")
	case !rt.allowsKey(s.key):
		return rt.denied(cosreq.GetObject, s.key, "AllowPrefixes")
	}
	return nil
}
