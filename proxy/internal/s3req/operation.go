package s3req

import (
	"net/http"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// operations maps a method to an S3 operation (Amazon S3 API Reference).
type operations map[string]string

// objectOperations and bucketOperations are the S3 operations by the query parameter that
// selects them. The empty name means no such parameter.
var (
	objectOperations = map[string]operations{
		"": {
			http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodPut: "PutObject", http.MethodDelete: "DeleteObject",
		},
		"uploads": {http.MethodPost: "CreateMultipartUpload"},
		"uploadId": {
			http.MethodPut: "UploadPart", http.MethodPost: "CompleteMultipartUpload",
			http.MethodDelete: "AbortMultipartUpload", http.MethodGet: "ListParts",
		},
		"acl":        {http.MethodGet: "GetObjectAcl", http.MethodPut: "PutObjectAcl"},
		"tagging":    {http.MethodGet: "GetObjectTagging", http.MethodPut: "PutObjectTagging", http.MethodDelete: "DeleteObjectTagging"},
		"restore":    {http.MethodPost: "RestoreObject"},
		"select":     {http.MethodPost: "SelectObjectContent"},
		"attributes": {http.MethodGet: "GetObjectAttributes"},
		"legal-hold": {http.MethodGet: "GetObjectLegalHold", http.MethodPut: "PutObjectLegalHold"},
		"retention":  {http.MethodGet: "GetObjectRetention", http.MethodPut: "PutObjectRetention"},
		"torrent":    {http.MethodGet: "GetObjectTorrent"},
		"encryption": {http.MethodPut: "UpdateObjectEncryption"},

		"renameObject": {http.MethodPut: "RenameObject"},
	}
	bucketOperations = map[string]operations{
		"": {
			http.MethodGet: "ListObjects", http.MethodHead: "HeadBucket", http.MethodPut: "CreateBucket",
			http.MethodDelete: "DeleteBucket", http.MethodPost: "PostObject",
		},
		listType:              {http.MethodGet: "ListObjectsV2"},
		"delete":              {http.MethodPost: "DeleteObjects"},
		"uploads":             {http.MethodGet: "ListMultipartUploads"},
		"versions":            {http.MethodGet: "ListObjectVersions"},
		"location":            {http.MethodGet: "GetBucketLocation"},
		"acl":                 getPut("BucketAcl"),
		"cors":                getPutDelete("BucketCors"),
		"lifecycle":           getPutDelete("BucketLifecycle"),
		"policy":              getPutDelete("BucketPolicy"),
		"tagging":             getPutDelete("BucketTagging"),
		"versioning":          getPut("BucketVersioning"),
		"replication":         getPutDelete("BucketReplication"),
		"website":             getPutDelete("BucketWebsite"),
		"logging":             getPut("BucketLogging"),
		"notification":        getPut("BucketNotificationConfiguration"),
		"accelerate":          getPut("BucketAccelerateConfiguration"),
		"encryption":          getPutDelete("BucketEncryption"),
		"inventory":           getPutDelete("BucketInventoryConfiguration"),
		"analytics":           getPutDelete("BucketAnalyticsConfiguration"),
		"metrics":             getPutDelete("BucketMetricsConfiguration"),
		"intelligent-tiering": getPutDelete("BucketIntelligentTieringConfiguration"),
		"ownershipControls":   getPutDelete("BucketOwnershipControls"),
		"publicAccessBlock":   getPutDelete("PublicAccessBlock"),
		"policyStatus":        {http.MethodGet: "GetBucketPolicyStatus"},
		"requestPayment":      getPut("BucketRequestPayment"),
		"object-lock":         getPut("ObjectLockConfiguration"),
		"session":             {http.MethodGet: "CreateSession"},
		"abac":                getPut("BucketAbac"),

		"metadataConfiguration":  {http.MethodPost: "CreateBucketMetadataConfiguration", http.MethodGet: "GetBucketMetadataConfiguration", http.MethodDelete: "DeleteBucketMetadataConfiguration"},
		"metadataTable":          {http.MethodPost: "CreateBucketMetadataTableConfiguration", http.MethodGet: "GetBucketMetadataTableConfiguration", http.MethodDelete: "DeleteBucketMetadataTableConfiguration"},
		"metadataInventoryTable": {http.MethodPut: "UpdateBucketMetadataInventoryTableConfiguration"},
		"metadataJournalTable":   {http.MethodPut: "UpdateBucketMetadataJournalTableConfiguration"},
	}
)

// missing are the sub-resources of S3 for which COS documents no action.
var (
	missingOfObjects = setOf("attributes legal-hold retention torrent encryption renameObject")
	missingOfBuckets = setOf(`analytics metrics intelligent-tiering ownershipControls
		publicAccessBlock policyStatus requestPayment object-lock session abac
		metadataConfiguration metadataTable metadataInventoryTable metadataJournalTable`)
)

// objectParameters and bucketParameters are the further parameters of each sub-resource
// that COS documents too.
var (
	objectParameters = map[string]map[string]bool{
		"":         setOf("versionId"),
		"uploadId": setOf("partNumber max-parts part-number-marker encoding-type"),
		"acl":      setOf("versionId"),
		"tagging":  setOf("versionId"),
		"restore":  setOf("versionId"),
		"select":   setOf("select-type"),
	}
	bucketParameters = map[string]map[string]bool{
		"":          setOf("prefix delimiter marker max-keys encoding-type"),
		listType:    setOf("prefix delimiter continuation-token start-after fetch-owner max-keys encoding-type"),
		"versions":  setOf("prefix delimiter key-marker version-id-marker max-keys encoding-type"),
		"uploads":   setOf("prefix delimiter key-marker upload-id-marker max-uploads encoding-type"),
		"inventory": setOf("id continuation-token"),
	}
)

// responseParameters replace header fields of a response. S3 and COS have the same.
var responseParameters = setOf(`response-content-type response-content-language response-expires
	response-cache-control response-content-disposition response-content-encoding`)

// listType selects ListObjectsV2.
const listType = "list-type"

// operationName is a parameter with which current clients repeat the name of the operation.
const operationName = "x-id"

// Operation returns the name of the S3 operation. The error is 501 NotImplemented and names
// the operation or the parameter that COS does not have. An empty key means the bucket.
func Operation(method, key string, q cosreq.Query) (string, error) {
	table, missing, parameters := objectOperations, missingOfObjects, objectParameters
	if key == "" {
		table, missing, parameters = bucketOperations, missingOfBuckets, bucketParameters
	}
	selected := ""
	for _, p := range q.Params {
		if p.Key == "" || table[p.Key] == nil {
			continue
		}
		if selected != "" && selected != p.Key {
			return "", coserr.New(http.StatusNotImplemented, "NotImplemented",
				"The parameters %s and %s select two S3 operations. Send one of them.", selected, p.Key)
		}
		selected = p.Key
	}
	name := table[selected][method]
	switch {
	case method == http.MethodOptions: // a preflight has the query of the request that follows
		return "preflight", nil
	case name == "":
		return "", coserr.New(http.StatusNotImplemented, "NotImplemented",
			"S3 has no operation %s of %s with this query. Check method, path and query.", method, resource(key, selected))
	case missing[selected]:
		return "", coserr.New(http.StatusNotImplemented, "NotImplemented",
			"COS does not have the S3 operation %s. Turn it off in the client.", name)
	case selected == listType:
		if err := checkListType(q); err != nil {
			return "", err
		}
	}
	for _, p := range q.Params {
		switch {
		case p.Key == selected, p.Key == operationName, parameters[selected][p.Key]:
		case key != "" && selected == "" && responseParameters[p.Key]:
		default:
			return "", MissingParameterError(p.Key, name)
		}
	}
	return name, nil
}

// checkListType rejects a list-type that does not say clearly which version of a list it is:
// they page by different parameters, so a server would return the first page again.
func checkListType(q cosreq.Query) error {
	found := false
	for _, p := range q.Params {
		if p.Key == listType && (p.Value != "2" || found) {
			return coserr.New(http.StatusNotImplemented, "NotImplemented", "COS does not document list-type %q here. Send one list-type=2, or omit it.", coserr.Truncate(p.Value))
		}
		found = found || p.Key == listType
	}
	return nil
}

// MissingParameterError returns 501 NotImplemented for a parameter of an operation.
func MissingParameterError(parameter, operation string) error {
	return coserr.New(http.StatusNotImplemented, "NotImplemented",
		"COS does not document the parameter %q of the S3 operation %s. Remove the parameter.", coserr.Truncate(parameter), operation)
}

// resource names what a request is for.
func resource(key, selected string) string {
	name := "an object"
	if key == "" {
		name = "a bucket"
	}
	if selected != "" {
		name += " (" + selected + ")"
	}
	return name
}

func getPut(noun string) operations {
	return operations{http.MethodGet: "Get" + noun, http.MethodPut: "Put" + noun}
}

func getPutDelete(noun string) operations {
	o := getPut(noun)
	o[http.MethodDelete] = "Delete" + noun
	return o
}

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}
