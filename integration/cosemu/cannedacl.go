package cosemu

import (
	"net/http"
	"slices"
	"strings"
)

// cannedACLs are the values of x-cos-acl for objects ("ACL Overview", 436/30583).
var cannedACLs = []string{"default", "private", "public-read", "authenticated-read", "bucket-owner-read", "bucket-owner-full-control"}

// The groups that a canned ACL can grant access to.
const (
	allUsers           = "http://cam.qcloud.com/groups/global/AllUsers"
	authenticatedUsers = "http://cam.qcloud.com/groups/global/AuthenticatedUsers"
)

// grantHeaders maps headers to the permission that they grant.
var grantHeaders = map[string]string{
	"x-cos-grant-read": "READ", "x-cos-grant-write": "WRITE", "x-cos-grant-read-acp": "READ_ACP",
	"x-cos-grant-write-acp": "WRITE_ACP", "x-cos-grant-full-control": "FULL_CONTROL",
}

// checkCannedACL fails unless values hold at most one known value of x-cos-acl.
func checkCannedACL(values []string) error {
	if len(values) > 1 || len(values) == 1 && values[0] != "" && !slices.Contains(cannedACLs, values[0]) {
		return invalidArgument("x-cos-acl is one of %s", strings.Join(cannedACLs, ", "))
	}
	return nil
}

// isACLField reports whether metadata with that lower-case name belongs to the ACL.
// Downloads do not return it.
func isACLField(name string) bool { return name == "x-cos-acl" || grantHeaders[name] != "" }

// withACL returns m with the ACL of the request headers h in place of its own: a copy
// does not keep the ACL of its source.
func (m metadata) withACL(h http.Header) metadata {
	kept := slices.DeleteFunc(slices.Clone(m), func(f metaField) bool { return isACLField(f.name) })
	for _, f := range metadataFrom(h) {
		if isACLField(f.name) {
			kept = append(kept, f)
		}
	}
	return kept
}

// grants returns the grants of m to others than the owner.
func (m metadata) grants() []grantXML {
	var grants []grantXML
	switch m.get("x-cos-acl") {
	case "public-read":
		grants = append(grants, grantXML{Grantee: granteeXML{URI: allUsers}, Permission: "READ"})
	case "authenticated-read":
		grants = append(grants, grantXML{Grantee: granteeXML{URI: authenticatedUsers}, Permission: "READ"})
	}
	for _, f := range m {
		if permission := grantHeaders[f.name]; permission != "" {
			id := strings.TrimSuffix(strings.TrimPrefix(f.value, `id="`), `"`)
			grants = append(grants, grantXML{Grantee: granteeXML{ID: id}, Permission: permission})
		}
	}
	return grants
}
