package proxy

import (
	"net/http"
	"strings"
)

// namelessSubresources are parameters of the official SDKs and of S3 that select
// something other than the object or the list of objects, and for which no action
// is documented. They pass only where all actions are allowed. addtoheader makes
// ci-process=filehash, a download otherwise, store the digest with the object.
var namelessSubresources = setOf(`
	addtoheader analytics attributes domaincertificate guetzli hdr-image-processing
	hotlink image-slim image_process intelligent-tiering legal-hold metrics
	origin-protect ownershipControls policyStatus publicAccessBlock requestPayment
	session style TDCRefresh torrent unbind`)

// objectParameters and bucketParameters are the parameters that go with a
// sub-resource and need no right of their own, by sub-resource; an empty name
// stands for none (COS documents of each request; tags of the Go SDK).
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

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// isSubresource reports whether a parameter selects something, on buckets or on
// objects. One that is known for the other of the two selects as well: what COS
// makes of it is not documented.
func isSubresource(name string) bool {
	return name != "" && (objectSubresources[name] != nil || bucketSubresources[name] != nil || namelessSubresources[name])
}

// parameters sorts the parameters of a request into sub-resources, in their
// order, and those that COS does not document for it.
func parameters(method, key string, q query) (subresources, unknown []string) {
	if len(q.params) == 0 {
		return nil, nil
	}
	reads := key != "" && readsOnly(method)
	for _, p := range q.params {
		if isSubresource(p.key) || p.key == ciProcess && (!reads || !isReadingProcess[p.value]) {
			subresources = append(subresources, p.key)
		}
	}
	processing := reads && q.has(ciProcess)
	for _, p := range q.params {
		switch {
		case p.key == harmlessParameter, p.key == ciProcess, isSubresource(p.key), isKnown(key, p.key, subresources):
		case key != "" && strings.HasPrefix(p.key, "response-"):
		case reads && isReadingRule(p), processing && processParameters[p.key]:
		default:
			unknown = append(unknown, p.key)
		}
	}
	return subresources, unknown
}

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

// removeUnknown leaves out of a download or listing what COS does not document
// for it, such as ?_=1 against caches, unless the route allows everything. What
// is left is what was checked.
func (t *target) removeUnknown(method string) {
	if len(t.op.unknown) == 0 || !readsOnly(method) || t.route.coversAction(anyAction) {
		return
	}
	t.query = t.query.without(t.op.unknown)
	t.removed = len(t.op.unknown)
	t.op.unknown = nil
}

func readsOnly(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// without returns q less the parameters of these names.
func (q query) without(names []string) query {
	drop := make(map[string]bool, len(names))
	for _, name := range names {
		drop[name] = true
	}
	var kept query
	var wire []string
	for i, pair := range strings.Split(q.raw, "&") { // one to one with q.params
		if p := q.params[i]; !drop[p.key] {
			kept.params = append(kept.params, p)
			wire = append(wire, pair)
		}
	}
	kept.raw = strings.Join(wire, "&")
	return kept
}
