package credcache

import (
	"slices"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
)

// publicACLs are the values of x-cos-acl that give access to others than the owner, for
// buckets and objects ("ACL Overview", 436/30583).
var publicACLs = []string{
	"public-read", "public-read-write", "authenticated-read", "bucket-owner-read", "bucket-owner-full-control",
}

// aclByHeader maps the actions whose requests may set an ACL through x-cos-acl
// ("Conditions", 436/46205) to the action that permits setting one.
var aclByHeader = map[string]string{
	"name/cos:PutObject":               "name/cos:PutObjectACL",
	"name/cos:PostObject":              "name/cos:PutObjectACL",
	"name/cos:AppendObject":            "name/cos:PutObjectACL",
	"name/cos:InitiateMultipartUpload": "name/cos:PutObjectACL",
	"name/cos:PutBucket":               "name/cos:PutBucketACL",
}

// denyPublic denies granted actions if the request sets a public ACL through x-cos-acl and
// the scope does not permit setting one. The condition matches the public values: a negated
// operator with _if_exist is true if the header is missing, so it would deny every ordinary
// upload.
func (s Scope) denyPublic() []sts.CredentialPolicyStatement {
	var denied, paths []string
	for _, action := range s.AllowActions {
		permission := aclByHeader[action]
		if permission == "" || slices.Contains(s.AllowActions, permission) {
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
