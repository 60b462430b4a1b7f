package proxy

import (
	"net/http"
	"strings"
)

// anyAction stands for every action of COS.
const anyAction = actionPrefix + "*"

// A need is a right that a request needs in addition to that of its operation.
type need struct {
	action string // empty if COS documents no action, so that all must be allowed
	by     string // the parameter, header or form field that asks for it
}

// headerNeeds are the rights that headers ask for. COS judges x-cos-acl,
// x-cos-grant-* and x-cos-tagging on a write as a part of that write, so a right
// to upload would be one to publish.
func headerNeeds(h http.Header, op operation) []need {
	var needs []need
	for name, values := range h {
		if !strings.HasPrefix(name, "X-Cos-") && !strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		name = strings.ToLower(name)
		if noun := protects(name, values...); noun != "" {
			needs = append(needs, need{op.put(noun), name})
		}
	}
	return needs
}

// needs are the rights that the fields of a form ask for.
func (f *form) needs(op operation) []need {
	var needs []need
	for _, field := range f.fields {
		name := strings.ToLower(field.Name)
		noun := protects(name, field.Value)
		switch name {
		case "acl":
			noun = protects("x-cos-acl", field.Value)
		case "tagging":
			noun = protects("x-cos-tagging", field.Value)
		}
		if noun != "" {
			needs = append(needs, need{op.put(noun), field.Name})
		}
	}
	return needs
}

// protects returns what a header in lower case sets, ACL or Tagging, or "" if that
// needs no right: private and default make nothing public. Any other spelling, and
// a header that comes twice, does, since COS may read it in another way.
func protects(name string, values ...string) string {
	rest, ok := strings.CutPrefix(name, "x-cos-")
	if !ok {
		rest, ok = strings.CutPrefix(name, "x-amz-") // in case COS reads those of S3
	}
	switch {
	case !ok:
		return ""
	case rest == "acl":
		if len(values) == 1 && (values[0] == "private" || values[0] == "default") {
			return ""
		}
		return "ACL"
	case strings.HasPrefix(rest, "grant-"):
		return "ACL"
	case rest == "tagging":
		return "Tagging"
	}
	return ""
}

// put names the action that sets an ACL or tags where op writes.
func (op operation) put(noun string) string {
	if op.key == "" && op.action != postObject {
		return actionPrefix + "PutBucket" + noun
	}
	return actionPrefix + "PutObject" + noun
}

// asks reports whether op needs an action of which is reports true.
func (op operation) asks(is func(action string) bool) bool {
	if is(op.action) {
		return true
	}
	for _, n := range op.also {
		if is(n.action) {
			return true
		}
	}
	return false
}

// authorizeNeeds checks what a request needs in addition to its operation's right,
// and that COS documents all of its parameters.
func (rt Route) authorizeNeeds(op operation) error {
	for _, n := range op.also {
		switch {
		case n.action == "" && !rt.coversAction(anyAction):
			return errorf(http.StatusForbidden, "AccessDenied",
				"COS documents no action for %q here, so on route %s it passes only where %sACTIONS is *. Leave it out.",
				shown(n.by), rt.Name, rt.Settings)
		case n.action != "" && !rt.coversAction(n.action):
			return errorf(http.StatusForbidden, "AccessDenied",
				"%s on %q in bucket %s needs %s, which is not allowed on route %s of this sidecar. Leave it out; or, if it should be allowed, extend %sACTIONS.",
				n.by, shown(op.key), rt.Bucket, n.action, rt.Name, rt.Settings)
		}
	}
	if len(op.unknown) > 0 && !rt.coversAction(anyAction) {
		return errorf(http.StatusForbidden, "AccessDenied",
			"COS documents no parameter %q for this request, so on route %s it passes only where %sACTIONS is *. Leave it out.",
			shown(op.unknown[0]), rt.Name, rt.Settings)
	}
	return nil
}
