package cosemu

import (
	"net/http"
	"slices"
)

// actionRule names the COS action of requests with this method and sub-resource; "" is
// the object or bucket itself (COS API authorization policy guide; where it says
// nothing, the preset policies).
type actionRule struct{ method, selector, action string }

// objectRules are for paths with a key.
var objectRules = []actionRule{
	{http.MethodPut, "uploadId", "UploadPart"},
	{http.MethodPost, "uploads", "InitiateMultipartUpload"},
	{http.MethodPost, "uploadId", "CompleteMultipartUpload"},
	{http.MethodDelete, "uploadId", "AbortMultipartUpload"},
	{http.MethodGet, "uploadId", "ListParts"},
	{http.MethodPost, "append", "AppendObject"},
	{http.MethodPost, "restore", "PostObjectRestore"},
	{http.MethodPost, "select", "SelectObjectContent"},
	{http.MethodPut, "acl", "PutObjectACL"},
	{http.MethodGet, "acl", "GetObjectACL"},
	{http.MethodPut, "tagging", "PutObjectTagging"},
	{http.MethodGet, "tagging", "GetObjectTagging"},
	{http.MethodDelete, "tagging", "DeleteObjectTagging"},
	{http.MethodPut, "retention", "PutObjectRetention"},
	{http.MethodGet, "retention", "GetObjectRetention"},
	{http.MethodPut, "symlink", "PutSymlink"},
	{http.MethodGet, "symlink", "GetSymlink"},
	{http.MethodPut, "", "PutObject"},
	{http.MethodGet, "", "GetObject"},
	{http.MethodHead, "", "HeadObject"},
	{http.MethodDelete, "", "DeleteObject"},
	{http.MethodOptions, "", "OptionsObject"},
}

// bucketRules are for the path "/".
var bucketRules = []actionRule{
	{http.MethodPost, "delete", "DeleteMultipleObjects"},
	{http.MethodGet, "uploads", "ListMultipartUploads"},
	{http.MethodGet, "versions", "GetBucketObjectVersions"},
	{http.MethodGet, "location", "GetBucketLocation"},
	{http.MethodPost, "inventory", "PostBucketInventory"},
	{http.MethodPost, "", "PostObject"},
	{http.MethodPut, "", "PutBucket"},
	{http.MethodGet, "", "GetBucket"},
	{http.MethodHead, "", "HeadBucket"},
	{http.MethodDelete, "", "DeleteBucket"},
	{http.MethodOptions, "", "OptionsObject"},
}

// bucketSettings are the sub-resources of a bucket whose actions consist of the verb,
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

// unnamedSubresources are sub-resources whose actions have no documented name.
var unnamedSubresources = []string{
	"domaincertificate", "guetzli", "hdr-image-processing", "hotlink", "image-slim", "image_process",
	"intelligent-tiering", "legal-hold", "live", "origin-protect", "rename", "style", "unbind", "vod",
}

// subresources are the parameters that select a sub-resource. Those that exist for
// buckets alone select on an object too: the documents do not say how COS treats them
// there, so such a request must not pass as one about the object itself.
var subresources = func() map[string]bool {
	names := map[string]bool{}
	for _, rule := range slices.Concat(objectRules, bucketRules) {
		names[rule.selector] = true
	}
	for name := range bucketSettings {
		names[name] = true
	}
	for _, name := range unnamedSubresources {
		names[name] = true
	}
	delete(names, "")
	return names
}()

// selector returns the first parameter that selects a sub-resource, or "". COS routes
// on the first one (a comment in the Go SDK's addURLOptions).
func (ps params) selector() string {
	for _, p := range ps {
		if subresources[p.name] {
			return p.name
		}
	}
	return ""
}

// actionOf returns the action of a request without "name/cos:", or "" if COS has no
// such action.
func actionOf(method string, t target) string {
	selector := t.query.selector()
	listsBucket := method == http.MethodGet && t.isCleanedToRoot()
	if t.path != "/" && !listsBucket {
		return findRule(objectRules, method, selector)
	}
	if action := findRule(bucketRules, method, selector); action != "" {
		return action
	}
	verb, noun := settingVerbs[method], bucketSettings[selector]
	switch {
	case verb == "" || noun == "":
		return ""
	case method == http.MethodGet && noun == "Inventory" && !t.query.has("id"):
		return "ListBucketInventory"
	}
	return verb + "Bucket" + noun
}

func findRule(rules []actionRule, method, selector string) string {
	for _, rule := range rules {
		if rule.method == method && rule.selector == selector {
			return rule.action
		}
	}
	return ""
}
