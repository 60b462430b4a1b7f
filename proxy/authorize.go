package proxy

import (
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// bodyKeys are what a body says about the keys that a request touches.
type bodyKeys struct {
	deleted []string // of a list of keys to delete
	form    *form    // nil if the body is not a form
}

// authorize returns the first candidate whose route allows the request, and the
// refusal of the first one if there is none. COS checks the same rules, since the
// credentials were issued with them as their policy; the refusal here can say what to
// change.
func authorize(candidates []candidate, req *request, keys bodyKeys) (*candidate, error) {
	var refusal error
	for i := range candidates {
		c := &candidates[i]
		err := c.check(req, keys)
		if err == nil {
			return c, nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	return nil, refusal
}

// filterByAction leaves out the candidates whose route does not allow what the head asks
// for, its keys excepted, before the body is read. If that leaves none, it returns the refusal of the first one.
func filterByAction(candidates []candidate, req *request) ([]candidate, error) {
	kept := candidates[:0]
	var refusal error
	for _, c := range candidates {
		err := c.checkAction(req)
		if err == nil {
			err = c.route.authorizeNeeds(c.op)
		}
		switch {
		case err == nil:
			kept = append(kept, c)
		case refusal == nil:
			refusal = err
		}
	}
	if len(kept) == 0 {
		return nil, refusal
	}
	return kept, nil
}

// check is the whole of authorization, on everything that is known.
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
			"%s under prefix %q in bucket %s is not allowed on route %s, which allows %s. Ask with a prefix inside these.",
			c.op.Action, c.query.Get("prefix"), rt.Bucket, rt.Name, strings.Join(rt.AllowPrefixes, ", ")).
			Try("They are set in", rt.setting("AllowPrefixes"))
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
			"cosproxy knows no COS operation for %s with this query on %q.", req.method, c.op.Key).
			Try("On route "+rt.Name+" it passes only with * in", rt.setting("AllowActions"))
	case c.op.Action == cosreq.GetService: // router.go has found a route that allows it
	case c.op.Action != "" && !rt.allowsAction(c.op.Action):
		return rt.denied(c.op.Action, c.op.Key, "AllowActions")
	}
	return nil
}

// authorizeNeeds checks what a request needs in addition to its operation's right,
// and that COS documents all of its parameters.
func (rt *route) authorizeNeeds(op cosreq.Operation) error {
	if rt.allowsAllActions() {
		return nil
	}
	for _, n := range op.Also {
		switch {
		case n.Action == "":
			return coserr.New(http.StatusForbidden, "AccessDenied",
				"COS documents no action for %q here. Leave it out.", coserr.Truncate(n.By)).
				Try("On route "+rt.Name+" it passes only with * in", rt.setting("AllowActions"))
		case !rt.allowsAction(n.Action):
			return coserr.New(http.StatusForbidden, "AccessDenied",
				"%s on %q in bucket %s needs %s, which is not allowed on route %s of this sidecar. Leave it out;",
				n.By, coserr.Truncate(op.Key), rt.Bucket, n.Action, rt.Name).
				Try("or, if it should be allowed, extend", rt.setting("AllowActions"))
		}
	}
	if len(op.Unknown) > 0 {
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"COS documents no parameter %q for this request. Leave it out.", coserr.Truncate(op.Unknown[0])).
			Try("On route "+rt.Name+" it passes only with * in", rt.setting("AllowActions"))
	}
	return nil
}

func (rt *route) denied(action, key, setting string) error {
	return coserr.New(http.StatusForbidden, "AccessDenied",
		"%s on %q in bucket %s is not allowed on route %s of this sidecar.", action, coserr.Truncate(key), rt.Bucket, rt.Name).
		Try("If it should be, extend", rt.setting(setting))
}

// authorizeCopy checks what a copy reads: GetObject on a key of the route's own
// bucket.
func (rt *route) authorizeCopy(s *copySource) error {
	own := func(other *route) bool { return other.Bucket == rt.Bucket && other.Region == rt.Region }
	switch {
	case !slices.ContainsFunc(s.from, own):
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"name/cos:GetObject on %q of %s is not allowed: a copy on route %s may only read from its own bucket, %s in %s.",
			s.key, coserr.Host(s.host), rt.Name, rt.Bucket, rt.Region)
	case s.key == "":
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "x-cos-copy-source names a bucket and no key in it.")
	case !rt.allowsAction(cosreq.GetObject):
		return rt.denied(cosreq.GetObject, s.key, "AllowActions")
	case !rt.allowsKey(s.key):
		return rt.denied(cosreq.GetObject, s.key, "AllowPrefixes")
	}
	return nil
}
