package proxy

import (
	"net/http"
	"strings"
)

// allowedMethods are those that COS's XML API knows.
const allowedMethods = "GET, HEAD, PUT, POST, DELETE, OPTIONS"

// An operation is what one request does in COS's terms.
type operation struct {
	action  string   // name/cos:PutObject …; the name that CAM policies use
	key     string   // object key; empty for the bucket
	also    []need   // what must be allowed in addition
	unknown []string // parameters that COS does not document for it
}

const actionPrefix = "name/cos:"

// objectSubresources and bucketSubresources map a query parameter that selects
// a sub-resource to the action of each method (COS document "COS API
// authorization policy guide"). An empty parameter name means none is given.
// A sub-resource with a method that is not listed has no action whose name is
// documented.
var (
	objectSubresources = map[string]map[string]string{
		"": {
			http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodPut: "PutObject",
			http.MethodDelete: "DeleteObject", http.MethodOptions: "OptionsObject",
		},
		"uploads": {http.MethodPost: "InitiateMultipartUpload"},
		"uploadId": {
			http.MethodPut: "UploadPart", http.MethodPost: "CompleteMultipartUpload",
			http.MethodDelete: "AbortMultipartUpload", http.MethodGet: "ListParts",
		},
		"append":    {http.MethodPost: "AppendObject"},
		"restore":   {http.MethodPost: "PostObjectRestore"},
		"select":    {http.MethodPost: "GetObject"},
		"acl":       {http.MethodPut: "PutObjectACL", http.MethodGet: "GetObjectACL"},
		"tagging":   {http.MethodPut: "PutObjectTagging", http.MethodGet: "GetObjectTagging", http.MethodDelete: "DeleteObjectTagging"},
		"retention": {},
		"symlink":   {},
		"rename":    {},
		"live":      {},
		"vod":       {},
	}
	bucketSubresources = map[string]map[string]string{
		"": {
			http.MethodGet: "GetBucket", http.MethodHead: "HeadBucket", http.MethodPut: "PutBucket",
			http.MethodDelete: "DeleteBucket", http.MethodPost: "PostObject", http.MethodOptions: "OptionsObject",
		},
		"delete":             {http.MethodPost: "DeleteObject"},
		"uploads":            {http.MethodGet: "ListMultipartUploads"},
		"versions":           {http.MethodGet: "GetBucketObjectVersions"},
		"acl":                putGet("ACL"),
		"cors":               putGetDelete("CORS"),
		"lifecycle":          putGetDelete("Lifecycle"),
		"policy":             putGetDelete("Policy"),
		"tagging":            putGetDelete("Tagging"),
		"versioning":         putGet("Versioning"),
		"replication":        putGetDelete("Replication"),
		"website":            putGetDelete("Website"),
		"referer":            putGet("Referer"),
		"domain":             putGetDelete("Domain"),
		"origin":             putGetDelete("Origin"),
		"logging":            putGet("Logging"),
		"notification":       putGet("Notification"),
		"accelerate":         putGet("Accelerate"),
		"encryption":         putGetDelete("Encryption"),
		"location":           {http.MethodGet: "GetBucketLocation"},
		"inventory":          putGetDelete("Inventory"),
		"live":               {},
		"intelligenttiering": {},
		"object-lock":        {},
		"strict-signature":   {},
	}
)

func putGet(noun string) map[string]string {
	return map[string]string{http.MethodPut: "PutBucket" + noun, http.MethodGet: "GetBucket" + noun}
}

func putGetDelete(noun string) map[string]string {
	m := putGet(noun)
	m[http.MethodDelete] = "DeleteBucket" + noun
	return m
}

// checkRequestLine refuses methods that COS does not know, and targets that are
// neither a path nor an http URL with a host (RFC 9112, 3.2.2).
func checkRequestLine(r *http.Request) error {
	if r.URL.Scheme != "" && (r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Host == "") {
		return errorf(http.StatusBadRequest, "InvalidURI", "The request target is no http URL with a host. Send /<key>, or http://<host>/<key> as to a proxy.")
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions:
		return nil
	case http.MethodConnect:
		return errorf(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"CONNECT would hide the request from cosproxy. Send plain http:// requests to it; it talks TLS to COS itself.")
	}
	return errorf(http.StatusMethodNotAllowed, "MethodNotAllowed",
		"COS knows no method %q. Use one of %s.", r.Method, allowedMethods)
}

// classify names the operation that a request asks for. The action is empty
// when COS documents none for this method and sub-resource. Of several
// sub-resources the others must be allowed too. The key of a form upload stands in
// the form and comes later.
func classify(method, key string, q query) operation {
	table := objectSubresources
	if key == "" {
		table = bucketSubresources
	}
	op := operation{key: key}
	subresources, unknown := parameters(method, key, q)
	op.unknown = unknown
	if len(subresources) == 0 {
		subresources = []string{""}
	}
	for i, sub := range subresources {
		name := table[sub][method]
		if sub == "inventory" && method == http.MethodGet && !q.has("id") {
			name = "ListBucketInventory"
		}
		if name != "" {
			name = actionPrefix + name
		}
		if i == 0 { // COS routes on the first parameter that selects something
			op.action = name
		} else if name != op.action {
			op.also = append(op.also, need{name, sub})
		}
	}
	return op
}

// authorize checks the operation against what the route allows. COS checks it
// again, since the key was issued with the same rule as its policy; here the
// refusal can say what to change.
func (rt Route) authorize(t target, method string) error {
	op := t.op
	switch {
	case op.action == "" && !rt.coversAction(anyAction):
		return errorf(http.StatusForbidden, "AccessDenied",
			"%s with this query on %q is no COS operation that cosproxy knows, so on route %s it passes only where %sACTIONS is *.",
			method, op.key, rt.Name, rt.Settings)
	case op.action != "" && !rt.coversAction(op.action):
		return rt.denied(op.action, op.key, "ACTIONS")
	case op.key != "" && !rt.coversKey(op.key):
		return rt.denied(op.action, op.key, "PREFIXES")
	case op.asks(isListing) && !rt.coversListing(t.query):
		return errorf(http.StatusForbidden, "AccessDenied",
			"%s under prefix %q in bucket %s is not allowed on route %s; %sPREFIXES allows %s. Ask with a prefix inside these.",
			op.action, t.query.get("prefix"), rt.Bucket, rt.Name, rt.Settings, strings.Join(rt.Prefixes, ", "))
	}
	if err := rt.authorizeNeeds(op); err != nil || t.source == nil {
		return err
	}
	return rt.authorizeCopy(t.source)
}

func (rt Route) denied(action, key, setting string) error {
	return errorf(http.StatusForbidden, "AccessDenied",
		"%s on %q in bucket %s is not allowed on route %s of this sidecar. If it should be, extend %s%s.",
		action, shown(key), rt.Bucket, rt.Name, rt.Settings, setting)
}

func isListing(action string) bool {
	switch strings.TrimPrefix(action, actionPrefix) {
	case "GetBucket", "GetBucketObjectVersions", "ListMultipartUploads":
		return true
	}
	return false
}
