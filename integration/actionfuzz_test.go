package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
	"cosproxy/proxy"
)

// fuzzedActions are the actions that the fuzzed route may allow.
var fuzzedActions = []string{
	"GetObject", "HeadObject", "PutObject", "DeleteObject", "PostObject", "AppendObject", "OptionsObject", "PostObjectRestore",
	"InitiateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts",
	"GetObjectACL", "PutObjectACL", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging",
	"GetBucket", "HeadBucket", "PutBucket", "DeleteBucket", "GetBucketObjectVersions", "ListMultipartUploads",
	"GetBucketACL", "PutBucketLifecycle", "DeleteBucketCORS", "GetBucketInventory", "ListBucketInventory", "GetBucketLocation",
	"GetService", "GetBucketPolicy",
}

// policyNames are the names in policies of actions that the emulator names
// differently.
var policyNames = map[string]string{"DeleteMultipleObjects": "DeleteObject", "SelectObjectContent": "GetObject"}

// FuzzAction sends any request to a route that allows some actions. The emulator
// determines the action on its own. It must execute only allowed actions, and must
// never have to reject an action because of the credentials.
func FuzzAction(f *testing.F) {
	const none, all = uint32(0), ^uint32(0)
	for i, request := range []string{
		"GET /k", "HEAD /k", "PUT /k", "DELETE /k", "POST /", "POST /k?append&position=0", "OPTIONS /k", "POST /k?restore",
		"POST /k?uploads", "PUT /k?uploadId=1&partNumber=1", "POST /k?uploadId=1", "DELETE /k?uploadId=1", "GET /k?uploadId=1",
		"GET /k?acl", "PUT /k?acl", "GET /k?tagging", "PUT /k?tagging", "DELETE /k?tagging",
		"GET /", "HEAD /", "PUT /", "DELETE /", "GET /?versions", "GET /?uploads",
		"GET /?acl", "PUT /?lifecycle", "DELETE /?cors", "GET /?inventory&id=1", "GET /?inventory", "GET /?location",
		"GET http://service.cos.myqcloud.com/", "GET /?policy",
		"POST /?delete", "POST /k?select&select-type=2", "GET /k?lifecycle", "PUT /k?lifecycle", "GET /?uploadId=1", "GET /k?legal-hold",
		"GET /k?acl&uploadId=1", "GET /k?%61cl", "GET /k?ACL", "GET /k?versionId=1&acl", "GET /k?a=acl", "GET /k?=acl", "GET /k?a;acl", "GET /k?+acl",
		"GET /.", "GET /k%2f..", "GET //", "GET /?", "PUT /?acl&delete", "PATCH /k", "get /k", "GET /k?sign=a&acl", "GET /k?&&acl=",
		"GET /k?retention", "PUT /k?symlink", "PUT /?object-lock", "GET /?strict-signature", "POST /k", "POST /?inventory&id=1",
		"GET /k?domaincertificate", "PUT /k?intelligent-tiering", "GET /?origin-protect", "GET /k?tagging&acl", "GET /k?_=1&acl&uploadId=1",
		"PUT /k?x-cos-acl=public-read", "GET /?cors&uploads", "GET /k?ci-process=pm3u8", "GET /k?imageMogr2/strip|saveas/a",
	} {
		method, target, _ := strings.Cut(request, " ")
		own := uint32(1) << (i % len(fuzzedActions))
		f.Add(method, target, "X-A", "", "", own)
		f.Add(method, target, "X-A", "", "", all&^own)
	}
	for _, target := range []string{"/.", "/k%2f..", "//"} { // COS lists the bucket
		f.Add("GET", target, "X-A", "", "", uint32(1))
	}
	own := "x-cos-copy-source"
	f.Add("PUT", "/k", own, bucketHost+"/old", "", uint32(1<<2))
	f.Add("PUT", "/k", own, bucketHost+"/old", "", uint32(1<<2|1))
	f.Add("PUT", "/k?uploadId=1&partNumber=1", own, bucketHost+"/old", "", uint32(1<<9))
	f.Add("POST", "/", "Content-Type", "multipart/form-data; boundary=b", formOf, uint32(1<<4))
	f.Add("POST", "/", "Content-Type", "multipart/form-data; boundary=b", formOf, uint32(1<<2))
	f.Add("POST", "/?delete", "X-A", "", "<Delete><Object><Key>k</Key></Object></Delete>", uint32(1<<3))
	f.Add("POST", "/k", "X-HTTP-Method-Override", "DELETE", "", none)
	f.Add("HEAD", "/k?uploads", "Connection", "x-a", "", all)
	w := &fuzzSetup{}
	f.Cleanup(w.close)
	f.Fuzz(func(t *testing.T, method, target, name, value, body string, mask uint32) {
		if strings.ContainsAny(method+target+name, " \r\n") || strings.ContainsAny(value, "\r\n") {
			return // this would be a different request
		}
		w.changed = false // this test ignores stored objects
		w.reset(t)
		allowed := actionsOf(mask)
		w.routes = []proxy.Route{{
			Bucket: bucket, Region: region, Endpoint: plainEndpoint, AllowActions: withServicePrefix(allowed), AllowPrefixes: []string{"*"},
			Credentials: addCredentials(t, w.emu, "some", policyOf(t, withServicePrefix(allowed))),
		}}
		arrived := w.send(t, []byte(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s",
			method, target, name, value, len(body), body)), 4096)
		checkSigned(t, arrived)
		for i, a := range arrived {
			if !isCredentialProbe(arrived, i) {
				checkAllowed(t, a, allowed)
			}
		}
		if len(arrived) > 2 || len(arrived) == 2 && !isCredentialProbe(arrived, 0) && !isCredentialProbe(arrived, 1) {
			t.Errorf("%d requests reached COS, want 1", len(arrived))
		}
		if t.Failed() {
			t.Logf("%s %s, %s: %q, with %q, for %v", method, target, name, value, body, allowed)
		}
	})
}

func actionsOf(mask uint32) []string {
	var some []string
	for i, action := range fuzzedActions {
		if mask>>i&1 == 1 {
			some = append(some, action)
		}
	}
	return some
}

func withServicePrefix(actions []string) []string {
	var all []string
	for _, action := range actions {
		all = append(all, "name/cos:"+action)
	}
	return all
}

// policyOf returns a policy that allows actions everywhere. A policy needs an action,
// so the list always has one that COS does not know.
func policyOf(t testing.TB, actions []string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"version":   "2.0",
		"statement": []any{map[string]any{"effect": "allow", "action": append(actions, "name/cos:None"), "resource": "*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkAllowed requires that the action of the emulator is allowed, or that COS has no
// such action and did nothing.
func checkAllowed(t testing.TB, a cosemu.Request, allowed []string) {
	t.Helper()
	action := a.Action
	if name := policyNames[action]; name != "" {
		action = name
	}
	nothing := action == "" && (a.Status == http.StatusNotImplemented || a.Status == http.StatusMethodNotAllowed)
	if !nothing && !slices.Contains(allowed, action) {
		t.Errorf("%s %s is %s with status %d, which the route does not allow", a.Method, a.URI, a.Action, a.Status)
	}
}
