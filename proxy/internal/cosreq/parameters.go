package cosreq

import "strings"

// objectParameters and bucketParameters are the query parameters that a sub-resource
// supports and that require no further action. The empty name means no sub-resource (COS
// documents of each request; struct tags of the Go SDK).
var (
	objectParameters = map[string]map[string]bool{
		"":          setOf("versionId VersionId x-cos-traffic-limit"),
		"uploadId":  setOf("partNumber encoding-type max-parts part-number-marker x-cos-traffic-limit"),
		"append":    setOf("position x-cos-traffic-limit"),
		"restore":   setOf("versionId"),
		"select":    setOf("select-type"),
		"acl":       setOf("versionId"),
		"tagging":   setOf("versionId VersionId"),
		"retention": setOf("versionId"),
		"symlink":   setOf("versionId"),
	}
	bucketParameters = map[string]map[string]bool{
		// The last four belong to S3's ListObjectsV2.
		"":                    setOf("prefix delimiter marker max-keys encoding-type list-type continuation-token start-after fetch-owner"),
		"versions":            setOf("prefix delimiter key-marker version-id-marker max-keys encoding-type"),
		"uploads":             setOf("prefix delimiter key-marker upload-id-marker max-uploads encoding-type"),
		"inventory":           setOf("id continuation-token"),
		"intelligent-tiering": setOf("id"),
		"domaincertificate":   setOf("domainname"),
	}
)

// serviceParameters are the query parameters of GET Service.
var serviceParameters = setOf("tagkey tagvalue range create-time region marker max-keys x-id")

// harmlessParameter repeats the name of the operation. Current S3 clients add it to every
// request.
const harmlessParameter = "x-id"

// classifyParams finds the sub-resources in the query parameters of a request, in their
// order, and the parameters that COS does not document for it. It appends the former to
// subresources.
func classifyParams(subresources []string, method, key string, q Query) (selected, unknown []string) {
	reads := key != "" && ReadsOnly(method)
	for _, p := range q.Params {
		if isSubresource(p.Key) || p.Key == ciProcess && (!reads || !readingProcesses[p.Value]) {
			subresources = append(subresources, p.Key)
		}
	}
	processing := reads && q.Has(ciProcess)
	for _, p := range q.Params {
		switch {
		case p.Key == harmlessParameter, p.Key == ciProcess, isSubresource(p.Key), isKnown(key, p.Key, subresources):
		case key != "" && strings.HasPrefix(p.Key, "response-"):
		case reads && isReadingRule(p), processing && processParameters[p.Key]:
		default:
			unknown = append(unknown, p.Key)
		}
	}
	return subresources, unknown
}

// isKnown reports whether COS documents a parameter for one of the sub-resources.
func isKnown(key, name string, subresources []string) bool {
	known := objectParameters
	if key == "" {
		known = bucketParameters
	}
	if len(subresources) == 0 {
		return known[""][name]
	}
	for _, s := range subresources {
		if known[s][name] {
			return true
		}
	}
	return false
}

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}
