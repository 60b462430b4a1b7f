package cosreq

import "net/http"

// A subresource maps each method to its action. Methods without an entry have no documented
// action.
type subresource map[string]string

// objectSubresources and bucketSubresources map the query parameters that select a
// sub-resource to its actions (COS document "COS API authorization policy guide"). The empty
// name means no sub-resource.
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

// undocumentedSubresources are query parameters of the official SDKs and of S3 that select
// a sub-resource without a documented action. addtoheader makes ci-process=filehash, which
// otherwise only reads, store the digest with the object.
var undocumentedSubresources = setOf(`
	addtoheader analytics attributes domaincertificate guetzli hdr-image-processing
	hotlink image-slim image_process intelligent-tiering legal-hold metrics
	origin-protect ownershipControls policyStatus publicAccessBlock requestPayment
	session style TDCRefresh torrent unbind`)

// isSubresource reports whether a query parameter selects a sub-resource of buckets or of
// objects. It does not tell these apart, because COS does not document what a sub-resource
// of buckets means for an object.
func isSubresource(name string) bool {
	return name != "" && (objectSubresources[name] != nil || bucketSubresources[name] != nil || undocumentedSubresources[name])
}

func putGet(noun string) subresource {
	return subresource{http.MethodPut: "PutBucket" + noun, http.MethodGet: "GetBucket" + noun}
}

func putGetDelete(noun string) subresource {
	s := putGet(noun)
	s[http.MethodDelete] = "DeleteBucket" + noun
	return s
}

// withPrefix prepends ActionPrefix to all actions of a table.
func withPrefix(table map[string]subresource) map[string]subresource {
	for _, s := range table {
		for method, action := range s {
			s[method] = ActionPrefix + action
		}
	}
	return table
}
