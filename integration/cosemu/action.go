package cosemu

import (
	"net/http"
	"slices"
)

// actionRule names the COS action of the requests that have the method and all
// of the parameters. The first rule that fits decides (COS API authorisation
// policy guide; the preset policies where it is silent).
type actionRule struct {
	method string
	params []string
	action string
}

// objectRules are for paths with a key.
var objectRules = []actionRule{
	{http.MethodPut, []string{"partNumber", "uploadId"}, "UploadPart"},
	{http.MethodPost, []string{"uploads"}, "InitiateMultipartUpload"},
	{http.MethodPost, []string{"uploadId"}, "CompleteMultipartUpload"},
	{http.MethodDelete, []string{"uploadId"}, "AbortMultipartUpload"},
	{http.MethodGet, []string{"uploadId"}, "ListParts"},
	{http.MethodPost, []string{"append"}, "AppendObject"},
	{http.MethodPost, []string{"restore"}, "PostObjectRestore"},
	{http.MethodPost, []string{"select"}, "SelectObjectContent"},
	{http.MethodPut, []string{"acl"}, "PutObjectACL"},
	{http.MethodGet, []string{"acl"}, "GetObjectACL"},
	{http.MethodPut, []string{"tagging"}, "PutObjectTagging"},
	{http.MethodGet, []string{"tagging"}, "GetObjectTagging"},
	{http.MethodDelete, []string{"tagging"}, "DeleteObjectTagging"},
	{http.MethodPut, []string{"retention"}, "PutObjectRetention"},
	{http.MethodGet, []string{"retention"}, "GetObjectRetention"},
	{http.MethodPut, []string{"symlink"}, "PutSymlink"},
	{http.MethodGet, []string{"symlink"}, "GetSymlink"},
	{http.MethodPut, nil, "PutObject"},
	{http.MethodGet, nil, "GetObject"},
	{http.MethodHead, nil, "HeadObject"},
	{http.MethodDelete, nil, "DeleteObject"},
	{http.MethodOptions, nil, "OptionsObject"},
}

// bucketRules are for the path "/".
var bucketRules = []actionRule{
	{http.MethodPost, []string{"delete"}, "DeleteMultipleObjects"},
	{http.MethodGet, []string{"uploads"}, "ListMultipartUploads"},
	{http.MethodGet, []string{"versions"}, "GetBucketObjectVersions"},
	{http.MethodGet, []string{"location"}, "GetBucketLocation"},
	{http.MethodPost, []string{"inventory", "id"}, "PostBucketInventory"},
	{http.MethodGet, []string{"inventory", "id"}, "GetBucketInventory"},
	{http.MethodGet, []string{"inventory"}, "ListBucketInventory"},
}

// plainBucketRules are for the path "/" without a sub-resource.
var plainBucketRules = []actionRule{
	{http.MethodPost, nil, "PostObject"},
	{http.MethodPut, nil, "PutBucket"},
	{http.MethodGet, nil, "GetBucket"},
	{http.MethodHead, nil, "HeadBucket"},
	{http.MethodDelete, nil, "DeleteBucket"},
	{http.MethodOptions, nil, "OptionsObject"},
}

// bucketSettings are the sub-resources of a bucket whose actions are the verb,
// "Bucket" and this name: PutBucketCORS.
var bucketSettings = map[string]string{
	"accelerate":         "Accelerate",
	"acl":                "ACL",
	"cors":               "CORS",
	"domain":             "Domain",
	"encryption":         "Encryption",
	"intelligenttiering": "IntelligentTiering",
	"inventory":          "Inventory",
	"lifecycle":          "Lifecycle",
	"logging":            "Logging",
	"notification":       "Notification",
	"object-lock":        "ObjectLockConfiguration",
	"origin":             "Origin",
	"policy":             "Policy",
	"referer":            "Referer",
	"replication":        "Replication",
	"strict-signature":   "StrictSignature",
	"tagging":            "Tagging",
	"versioning":         "Versioning",
	"website":            "Website",
}

var settingVerbs = map[string]string{
	http.MethodGet:    "Get",
	http.MethodPut:    "Put",
	http.MethodDelete: "Delete",
}

// actionOf returns the action that a request asks for, without "name/cos:", or
// "" when there is none.
func actionOf(method string, t target) string {
	listsBucket := method == http.MethodGet && t.cleansToRoot()
	if t.path != "/" && !listsBucket {
		return firstRule(objectRules, method, t.query)
	}
	if action := firstRule(bucketRules, method, t.query); action != "" {
		return action
	}
	if verb := settingVerbs[method]; verb != "" {
		for _, p := range t.query {
			if name := bucketSettings[p.name]; name != "" {
				return verb + "Bucket" + name
			}
		}
	}
	return firstRule(plainBucketRules, method, t.query)
}

func firstRule(rules []actionRule, method string, query params) string {
	for _, rule := range rules {
		if rule.method == method && !slices.ContainsFunc(rule.params, func(name string) bool { return !query.has(name) }) {
			return rule.action
		}
	}
	return ""
}
