package credcache

import (
	"slices"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
)

// publicACLs are the values of x-cos-acl by which others than the owner get
// access ("ACL Overview", 436/30583), those of buckets and of objects.
var publicACLs = []string{
	"public-read", "public-read-write", "authenticated-read", "bucket-owner-read", "bucket-owner-full-control",
}

// aclByHeader are the actions whose requests may set an ACL by x-cos-acl
// ("Conditions", 436/46205), with the action that is the right to.
var aclByHeader = map[string]string{
	"name/cos:PutObject":               "name/cos:PutObjectACL",
	"name/cos:PostObject":              "name/cos:PutObjectACL",
	"name/cos:AppendObject":            "name/cos:PutObjectACL",
	"name/cos:InitiateMultipartUpload": "name/cos:PutObjectACL",
	"name/cos:PutBucket":               "name/cos:PutBucketACL",
}

// denyPublic denies the granted actions that may set an ACL by x-cos-acl, where
// they do and the right to is not granted. It denies on a match: where the header
// is missing, a negated operator with _if_exist is true, and would deny every
// ordinary upload.
func (s Scope) denyPublic() []sts.CredentialPolicyStatement {
	var denied, paths []string
	for _, action := range s.AllowActions {
		right := aclByHeader[action]
		if right == "" || slices.Contains(s.AllowActions, right) {
			continue
		}
		path := "*"
		if actions[action] == onBucket {
			path = ""
		}
		denied = append(denied, action)
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if denied == nil {
		return nil
	}
	return []sts.CredentialPolicyStatement{{
		Action: denied, Effect: "deny", Resource: s.resources(paths),
		Condition: map[string]map[string]any{"string_equal": {"cos:x-cos-acl": publicACLs}},
	}}
}
