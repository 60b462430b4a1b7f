package cosreq_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"cosproxy/proxy/internal/cosreq"
)

// rule is one line of testdata/actions.json of package proxy.
type rule struct {
	Target       string   `json:"target"`
	Method       string   `json:"method"`
	QueryPresent []string `json:"query_present"`
	Action       string   `json:"action"`
}

func readRules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile("../../testdata/actions.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Rules []rule `json:"rules"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Rules) < 80 {
		t.Fatalf("only %d rules", len(file.Rules))
	}
	return file.Rules
}

func TestClassify_EveryDocumentedOperation(t *testing.T) {
	for _, rule := range readRules(t) {
		key := ""
		switch rule.Target {
		case "service":
			continue
		case "object":
			key = "dir/key"
		}
		query := strings.Join(rule.QueryPresent, "=1&")
		for _, q := range []string{query, "versionId=1&" + query, query + "&x-cos-traffic-limit=819200", "response-content-type=a&" + query} {
			if op := cosreq.Classify(rule.Method, key, parse(t, q)); op.Action != rule.Action || op.Key != key {
				t.Errorf("%s %s?%s: got %+v, want %q", rule.Method, rule.Target, q, op, rule.Action)
			}
		}
	}
}

// also formats the further actions that an operation requires.
func also(op cosreq.Operation) string {
	var all []string
	for _, n := range op.Also {
		all = append(all, n.By+":"+strings.TrimPrefix(n.Action, cosreq.ActionPrefix))
	}
	return strings.Join(all, " ")
}

func TestClassify(t *testing.T) {
	tests := []struct{ method, key, query, action, also, unknown string }{
		{"GET", "k", "", "GetObject", "", ""},
		{"POST", "", "", "PostObject", "", ""},
		{"OPTIONS", "k", "", "OptionsObject", "", ""},
		{"GET", "k", "acl", "GetObjectACL", "", ""},
		{"GET", "k", "%61cl", "GetObjectACL", "", ""},
		{"GET", "k", "ACL", "GetObject", "", "ACL"}, // names are case-sensitive
		{"GET", "k", "uploadid=1", "GetObject", "", "uploadid"},
		{"GET", "k", "acl&tagging", "GetObjectACL", "tagging:GetObjectTagging", ""}, // COS routes on the first
		{"GET", "k", "tagging&acl&policy", "GetObjectTagging", "acl:GetObjectACL policy:", ""},
		{"GET", "k", "tagging&tagging", "GetObjectTagging", "", ""},
		{"GET", "k", "tagging&versionId=1&VersionId=2", "GetObjectTagging", "", ""},
		{"GET", "k", "uploadId=1&tagging", "ListParts", "tagging:GetObjectTagging", ""},
		{"GET", "k", "tagging&ci-process=pm3u8", "GetObjectTagging", "ci-process:", ""},
		{"GET", "k", "prefix=acl", "GetObject", "", "prefix"},
		{"GET", "k", "imageMogr2/thumbnail/50x", "GetObject", "", ""},
		{"GET", "k", "imageMogr2/strip|saveas/eHh4", "GetObject", "", "imageMogr2/strip|saveas/eHh4"},
		{"GET", "k", "watermark/2/text/aGk=|imageInfo", "GetObject", "", ""},
		{"PUT", "k", "imageMogr2/strip", "PutObject", "", "imageMogr2/strip"},
		{"GET", "", "imageInfo", "GetBucket", "", "imageInfo"},
		{"GET", "k", "ci-process=snapshot&time=1", "GetObject", "", ""},
		{"GET", "k", "ci-process=filehash&type=md5&callback=http://x", "GetObject", "", "callback"},
		{"GET", "k", "ci-process=filehash&addtoheader=true", "", "", ""},
		{"GET", "k", "snapshot&time=1", "GetObject", "", "snapshot time"},
		{"PUT", "k", "ci-process=IDCardOCR", "", "", ""},
		{"GET", "k", "a=1&versionId=2&b&response-content-type=c", "GetObject", "", "a b"},
		{"GET", "", "response-content-type=a&versionId=1", "GetBucket", "", "response-content-type versionId"},
		{"GET", "", "versions&marker=a&key-marker=b", "GetBucketObjectVersions", "", "marker"},
		{"GET", "", "cors&uploads&prefix=a", "GetBucketCORS", "uploads:ListMultipartUploads", ""},
		{"POST", "", "cors&delete", "", "delete:DeleteObject", ""},
		{"PUT", "k", "partNumber=1", "PutObject", "", "partNumber"},
		{"PUT", "k", "uploadId=1&partNumber=1&position=0", "UploadPart", "", "position"},
		{"PUT", "k", "x-id=PutObject", "PutObject", "", ""},
		{"HEAD", "k", "acl", "", "", ""},
		{"DELETE", "k", "acl", "", "", ""},
		{"POST", "k", "", "", "", ""},
		{"PUT", "k", "uploads", "", "", ""},
		{"GET", "k", "live", "", "", ""},
		{"PUT", "", "live", "", "", ""},
		{"GET", "k", "torrent", "", "", ""},
		{"GET", "", "uploadId=1", "", "", ""}, // a sub-resource of objects
		{"GET", "k", "lifecycle", "", "", ""}, // a sub-resource of buckets
		{"GET", "", "inventory", "ListBucketInventory", "", ""},
		{"GET", "", "id=1&inventory", "GetBucketInventory", "", ""},
		{"POST", "", "delete", "DeleteObject", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" /"+tt.key+"?"+tt.query, func(t *testing.T) {
			op := cosreq.Classify(tt.method, tt.key, parse(t, tt.query))
			want := tt.action
			if want != "" {
				want = cosreq.ActionPrefix + want
			}
			if op.Action != want || op.Key != tt.key || also(op) != tt.also || strings.Join(op.Unknown, " ") != tt.unknown {
				t.Errorf("got %+v, want %q, also %q, unknown %q", op, want, tt.also, tt.unknown)
			}
		})
	}
}

// A parameter that selects a sub-resource never counts as the plain operation.
func TestClassify_WithoutAction(t *testing.T) {
	for _, name := range strings.Fields(`
		acl accelerate append cors delete domain encryption inventory lifecycle live location logging notification
		object-lock origin policy referer rename replication restore retention select strict-signature
		symlink uploads versioning vod website domaincertificate guetzli hdr-image-processing hotlink image-slim
		image_process intelligent-tiering intelligenttiering legal-hold origin-protect style TDCRefresh unbind torrent
		attributes requestPayment publicAccessBlock ownershipControls policyStatus addtoheader
		ci-process=anything ci-process=pm3u8 ci-process=ImageSearch&action=AddImage`) {
		for _, before := range []string{"", "versionId=1&", "prefix=&"} {
			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "POST"} {
				for _, key := range []string{"", "k"} {
					plain := cosreq.Classify(method, key, cosreq.Query{})
					if op := cosreq.Classify(method, key, parse(t, before+name)); op.Action == plain.Action && op.Action != "" {
						t.Errorf("%s /%s?%s%s is %s", method, key, before, name, op.Action)
					}
				}
			}
		}
	}
}

func TestClassify_Allocations(t *testing.T) {
	for _, tt := range []struct{ method, key, query string }{
		{"GET", "k", ""}, {"GET", "k", "versionId=1"}, {"PUT", "k", "partNumber=1&uploadId=2"}, {"GET", "", "prefix=a&delimiter=/"}, {"GET", "k", "acl"},
	} {
		q := parse(t, tt.query)
		if n := testing.AllocsPerRun(100, func() { cosreq.Classify(tt.method, tt.key, q) }); n != 0 {
			t.Errorf("%+v costs %v allocations", tt, n)
		}
	}
}

func TestService(t *testing.T) {
	op := cosreq.Service(parse(t, "tagkey=a&tagvalue=b&range=c&create-time=1&region=r&marker=m&max-keys=1&x-id=ListBuckets"))
	if op.Action != "name/cos:GetService" || op.Unknown != nil || op.Key != "" {
		t.Errorf("%+v", op)
	}
	if op := cosreq.Service(parse(t, "x=1&region=r&acl")); !slices.Equal(op.Unknown, []string{"x", "acl"}) {
		t.Errorf("unknown %q", op.Unknown)
	}
}

func TestOperation_Needs(t *testing.T) {
	for query, want := range map[string]bool{
		"": true, "versions": true, "uploads": true, "cors": false, "cors&uploads": true, "ci-process=x&versions": true, "acl": false,
	} {
		if got := cosreq.Classify("GET", "", parse(t, query)).Needs(cosreq.IsListing); got != want {
			t.Errorf("?%s lists: %v", query, got)
		}
	}
	if cosreq.IsListing("GetBucket") || cosreq.IsListing("name/cos:GetBucketACL") || cosreq.IsListing("") {
		t.Error("IsListing takes too much")
	}
}

func TestOperation_Put(t *testing.T) {
	for want, op := range map[string]cosreq.Operation{
		"name/cos:PutBucketACL":     {Action: "name/cos:PutBucket"},
		"name/cos:PutObjectACL":     {Action: cosreq.PutObject, Key: "k"},
		"name/cos:PutObjectTagging": {Action: cosreq.PostObject}, // its key is in the form
	} {
		noun := "ACL"
		if strings.HasSuffix(want, "Tagging") {
			noun = "Tagging"
		}
		if got := op.Put(noun); got != want {
			t.Errorf("%+v: got %s, want %s", op, got, want)
		}
	}
}

func TestKnownMethod(t *testing.T) {
	for method := range strings.SplitSeq(cosreq.AllowedMethods, ", ") {
		if got := cosreq.KnownMethod([]byte(method)); got != method {
			t.Errorf("%s is %q", method, got)
		}
	}
	for _, method := range []string{"", "get", "GET ", "CONNECT", "PATCH", "TRACE"} {
		if got := cosreq.KnownMethod([]byte(method)); got != "" {
			t.Errorf("%s is %q", method, got)
		}
	}
	if !cosreq.ReadsOnly("GET") || !cosreq.ReadsOnly("HEAD") || cosreq.ReadsOnly("OPTIONS") || cosreq.ReadsOnly("PUT") {
		t.Error("ReadsOnly")
	}
}
