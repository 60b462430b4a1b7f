package cosemu

import "net"

// authorize checks x against the policy of its credentials. The handlers check the
// keys of a multi-object delete and the source of a copy, which are not known here.
func (x *exchange) authorize() error {
	if x.action == "DeleteMultipleObjects" {
		return nil
	}
	return x.requireAllowed(x.policyAction(), x.bucket.name, x.resourcePath())
}

// requireAllowed fails unless the permissions of the credentials allow action on
// bucket/path.
func (x *exchange) requireAllowed(action, bucket, path string) error {
	a := access{action: action, region: x.s.options.Region, bucket: bucket, path: path}
	if x.rights.hasConditions() {
		header := x.r.Header
		if x.conditionHeader != nil {
			header = x.conditionHeader
		}
		a.conditions = collectConditionValues(header, x.query, x.s.options.PlainConditions)
		a.conditions["qcs:ip"], _, _ = net.SplitHostPort(x.r.RemoteAddr)
	}
	if !x.rights.allows(a) {
		return accessDenied("Access Denied.")
	}
	return nil
}

// policyAction is the name of the action in policies. COS judges SELECT as a download.
func (x *exchange) policyAction() string {
	if x.action == "SelectObjectContent" {
		return "GetObject"
	}
	return x.action
}

// resourcePath is the path of x in the resource of a policy.
func (x *exchange) resourcePath() string {
	switch {
	case x.action == "GetBucket" || x.action == "ListMultipartUploads" || x.action == "GetBucketObjectVersions":
		return x.query.get("prefix")
	case x.onBucket():
		return ""
	}
	return x.key()
}
