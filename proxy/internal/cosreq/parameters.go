package cosreq

import "strings"

// objectParameters and bucketParameters are the parameters that go with a
// sub-resource and need no right of their own, by sub-resource; an empty name
// means none (COS documents of each request; tags of the Go SDK).
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
		// The last four are those of S3's ListObjectsV2.
		"":                    setOf("prefix delimiter marker max-keys encoding-type list-type continuation-token start-after fetch-owner"),
		"versions":            setOf("prefix delimiter key-marker version-id-marker max-keys encoding-type"),
		"uploads":             setOf("prefix delimiter key-marker upload-id-marker max-uploads encoding-type"),
		"inventory":           setOf("id continuation-token"),
		"intelligent-tiering": setOf("id"),
		"domaincertificate":   setOf("domainname"),
	}
)

// serviceParameters are those of GET Service.
var serviceParameters = setOf("tagkey tagvalue range create-time region marker max-keys x-id")

// harmlessParameter is what current S3 clients add to every request; it repeats
// the operation's name.
const harmlessParameter = "x-id"

// classifyParams sorts the parameters of a request into sub-resources, in their
// order, and those that COS does not document for it. It appends the first to
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
