package cosreq

import "net/http"

// A subresource maps each method to the action that it needs. A method that is not
// listed has no action whose name is documented.
type subresource map[string]string

// objectSubresources and bucketSubresources list the query parameters that select a
// sub-resource, with its actions (COS document "COS API authorization policy guide").
// An empty parameter name means none is given.
var (
	objectSubresources = withPrefix(map[string]subresource{
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
	})
	bucketSubresources = withPrefix(map[string]subresource{
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
	})
)

// namelessSubresources are parameters of the official SDKs and of S3 that select
// something other than the object or the list of objects, and for which no action
// is documented. addtoheader makes ci-process=filehash, a download otherwise, store
// the digest with the object.
var namelessSubresources = setOf(`
	addtoheader analytics attributes domaincertificate guetzli hdr-image-processing
	hotlink image-slim image_process intelligent-tiering legal-hold metrics
	origin-protect ownershipControls policyStatus publicAccessBlock requestPayment
	session style TDCRefresh torrent unbind`)

// isSubresource reports whether a parameter selects something, on buckets or on
// objects. One that is known for the other of the two selects as well: what COS
// makes of it is not documented.
func isSubresource(name string) bool {
	return name != "" && (objectSubresources[name] != nil || bucketSubresources[name] != nil || namelessSubresources[name])
}

func putGet(noun string) subresource {
	return subresource{http.MethodPut: "PutBucket" + noun, http.MethodGet: "GetBucket" + noun}
}

func putGetDelete(noun string) subresource {
	s := putGet(noun)
	s[http.MethodDelete] = "DeleteBucket" + noun
	return s
}

// withPrefix puts ActionPrefix in front of all actions of a table.
func withPrefix(table map[string]subresource) map[string]subresource {
	for _, s := range table {
		for method, action := range s {
			s[method] = ActionPrefix + action
		}
	}
	return table
}
