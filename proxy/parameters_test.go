package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// restricted allows the plain operations and a few others.
var restricted = []string{
	"name/cos:GetObject", "name/cos:HeadObject", "name/cos:PutObject", "name/cos:DeleteObject", "name/cos:UploadPart",
	"name/cos:GetBucket", "name/cos:HeadBucket", "name/cos:PutBucket", "name/cos:AppendObject", "name/cos:OptionsObject",
	"name/cos:GetObjectTagging", "name/cos:ListParts", "name/cos:GetBucketObjectVersions", "name/cos:PostObject",
}

func restrict(o *proxy.Options) { o.Routes[0].AllowActions = restricted }

// A parameter that selects a sub-resource is never forwarded as the plain operation, in
// any spelling.
func TestSubresource_NoAction(t *testing.T) {
	names := strings.Fields(`
		acl accelerate append cors delete domain encryption inventory lifecycle live location logging notification
		object-lock origin policy referer rename replication restore retention select strict-signature
		symlink uploads versioning vod website
		domaincertificate guetzli hdr-image-processing hotlink image-slim image_process intelligent-tiering
		intelligenttiering legal-hold origin-protect style TDCRefresh unbind torrent attributes requestPayment
		publicAccessBlock ownershipControls policyStatus addtoheader
		ci-process=anything ci-process=pm3u8 ci-process=ImageSearch&action=AddImage`)
	for _, name := range names {
		for _, request := range []string{"GET /k?", "HEAD /k?", "PUT /k?", "DELETE /k?", "GET /?", "PUT /?", "GET /k?versionId=1&", "GET /?prefix=&"} {
			t.Run(request+name, func(t *testing.T) {
				r := start(t, setup{options: restrict})
				rep := r.exchange(t, request+name+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
				if rep.status != http.StatusForbidden {
					t.Errorf("status %d, want 403", rep.status)
				}
				if n := len(r.upstream.seen()); n != 0 {
					t.Errorf("%d requests reached COS", n)
				}
				r = start(t, setup{}) // all actions are allowed
				if rep := r.exchange(t, request+name+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n"); rep.status != http.StatusOK {
					t.Errorf("status %d with all actions: %s", rep.status, rep.body)
				}
			})
		}
	}
}

// COS does not document precisely which of several sub-resources it uses.
func TestSubresource_EachChecked(t *testing.T) {
	for query, passes := range map[string]bool{
		"uploadId=1&tagging": true, "tagging&uploadId=1": true, "tagging&versionId=1": true,
		"uploadId=1&acl": false, "tagging&acl": false, "acl&tagging": false, "tagging&policy": false,
		"tagging&ci-process=pm3u8": false, "tagging&tagging": true,
	} {
		t.Run(query, func(t *testing.T) {
			r := start(t, setup{options: restrict})
			rep := r.exchange(t, "GET /k?"+query+" HTTP/1.1\r\n\r\n")
			if !passes {
				doc := r.refused(t, rep, http.StatusForbidden, "AccessDenied")
				if !strings.Contains(doc.Message, "default/AllowActions") {
					t.Error(doc.Message)
				}
			} else if rep.status != http.StatusOK || r.upstream.only(t).target() != "/k?"+query {
				t.Errorf("status %d, sent as %s", rep.status, r.upstream.only(t).target())
			}
		})
	}
}

// A listing or delete list stays within the prefixes even if it is the second
// sub-resource.
func TestSubresource_SecondWithinPrefixes(t *testing.T) {
	for name, request := range map[string]string{
		"listing":                  "GET /?cors&uploads HTTP/1.1\r\n\r\n",
		"listing of another place": "GET /?cors&versions&prefix=secret/ HTTP/1.1\r\n\r\n",
		"after a bad process":      "GET /?ci-process=x&uploads HTTP/1.1\r\n\r\n",
		"keys to delete": "POST /?cors&delete HTTP/1.1\r\nContent-Length: 58\r\n\r\n" +
			"<Delete><Object><Key>secret/a</Key></Object></Delete>     ",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
			doc := r.refused(t, r.exchange(t, request), http.StatusForbidden, "AccessDenied")
			if !strings.Contains(doc.Message, "default/AllowPrefixes") {
				t.Error(doc.Message)
			}
		})
	}
}

// Undocumented parameters are removed before signing and counted; the others keep their
// order.
func TestUnknownParameter_RemovedFromReads(t *testing.T) {
	tests := []struct{ request, sent, removed string }{
		{"GET /k?_=1764380000", "/k", "1"},
		{"HEAD /k?utm_source=x&v=2", "/k", "2"},
		{"GET /k?a=1&versionId=%4d%2b&b&response-content-type=text%2Fplain&c=", "/k?versionId=%4d%2b&response-content-type=text%2Fplain", "3"},
		{"GET /k?versionid=1", "/k", "1"}, // names are case-sensitive
		{"GET /k?ACL", "/k", "1"},
		{"GET /k?x-cos-acl=public-read", "/k", "1"},
		{"GET /k?prefix=a", "/k", "1"},
		{"GET /k?partNumber=1", "/k", "1"},
		{"GET /k?tagging&max-keys=1", "/k?tagging", "1"},
		{"GET /k?saveas=x", "/k", "1"},
		{"GET /?prefix=dir/&x=1&max-keys=5", "/?prefix=dir/&max-keys=5", "1"},
		{"GET /?versionId=1", "/", "1"},
		{"GET /?response-content-type=a", "/", "1"},
		{"GET /?imageInfo", "/", "1"},
		{"HEAD /?x", "/", "1"},
		{"GET /?versions&marker=a&key-marker=b", "/?versions&key-marker=b", "1"},
		{"GET /k?imageMogr2/thumbnail/50x|saveas/eHh4", "/k", "1"},
		{"GET /k?imageMogr2/thumbnail/50x%7Csaveas/eHh4", "/k", "1"},
		{"GET /k?imageMogr2/strip&watermark/1/image/aGk=/dx/1|saveas/eHh4", "/k?imageMogr2/strip", "1"},
		{"GET /k?ci-process=filehash&type=md5&callback=http://x", "/k?ci-process=filehash&type=md5", "1"},
		{"GET /k?snapshot&time=1", "/k", "2"}, // no process, so no parameter of one
	}
	for _, tt := range tests {
		t.Run(tt.request, func(t *testing.T) {
			r := start(t, setup{options: restrict})
			if rep := r.exchange(t, tt.request+" HTTP/1.1\r\n\r\n"); rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			if got := r.upstream.only(t).target(); got != tt.sent {
				t.Errorf("sent as %s, want %s", got, tt.sent)
			}
			if want := "\ncosproxy_query_parameters_removed_total " + tt.removed + "\n"; !strings.Contains(r.metrics(t), want) {
				t.Errorf("the metrics lack %s", want)
			}
		})
	}
}

// A route that allows all actions forwards all parameters.
func TestUnknownParameter_AllActions(t *testing.T) {
	for _, request := range []string{"GET /k?_=1&x", "PUT /k?sub-of-tomorrow", "GET /?new=1"} {
		r := start(t, setup{})
		_, sent, _ := strings.Cut(request, " ")
		if rep := r.exchange(t, request+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n"); rep.status != http.StatusOK || r.upstream.only(t).target() != sent {
			t.Errorf("%s: status %d", request, rep.status)
		}
	}
}

// A write with an undocumented parameter is rejected.
func TestUnknownParameter_RejectedOnWrites(t *testing.T) {
	for _, request := range []string{
		"PUT /k?_=1", "PUT /k?versionId=1&new-thing", "PUT /k?x-cos-acl=public-read", "PUT /k?partNumber=1", "DELETE /k?versionid=1",
		"PUT /k?imageMogr2/strip", "PUT /k?ci-process=IDCardOCR", "POST /k?append&position=0&x", "PUT /k?uploadId=1&partNumber=1&position=0",
		"PUT /?x", "POST /?x",
	} {
		t.Run(request, func(t *testing.T) {
			r := start(t, setup{options: restrict})
			doc := r.refused(t, r.exchange(t, request+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), http.StatusForbidden, "AccessDenied")
			if !strings.Contains(doc.Message, "default/AllowActions") {
				t.Error(doc.Message)
			}
		})
	}
}

// Documented parameters are not changed.
func TestKnownParameter_Forwarded(t *testing.T) {
	for _, request := range []string{
		"GET /k?versionId=1", "HEAD /k?versionId=1", "DELETE /k?versionId=1", "DELETE /k?VersionId=1", "PUT /k?x-cos-traffic-limit=819200",
		"GET /k?response-content-type=a&response-expires=b&response-cache-control=c&response-content-disposition=d&response-content-encoding=e&response-content-language=f",
		"PUT /k?partNumber=1&uploadId=2&x-cos-traffic-limit=819200", "GET /k?uploadId=1&max-parts=2&part-number-marker=3&encoding-type=url",
		"POST /k?append&position=0", "GET /k?tagging&versionId=1", "GET /k?x-id=GetObject", "PUT /k?x-id=PutObject",
		"GET /?prefix=a&delimiter=/&marker=b&max-keys=1&encoding-type=url",
		"GET /?versions&prefix=a&delimiter=/&key-marker=b&version-id-marker=c&max-keys=1&encoding-type=url",
		"GET /k?imageMogr2/thumbnail/!50p", "GET /k?imageMogr2%2Fthumbnail%2F%2150p", "GET /k?imageView2/1/w/400/h/600/q/85&versionId=1",
		"GET /k?imageInfo", "GET /k?imageInfo=", "GET /k?exif", "GET /k?imageAve", "GET /k?imageSlim", "GET /k?style/small",
		"GET /k?watermark/2/text/5pWw5o2u/fill/I0Y=/dx/20", "GET /k?imageMogr2/thumbnail/50x|watermark/2/text/aGk=|imageInfo",
		"HEAD /k?imageMogr2/strip", "GET /k?ci-process=snapshot&time=1.5&width=2&height=3&format=jpg&rotate=auto&mode=exactframe",
		"GET /k?ci-process=doc-preview&srcType=docx&dstType=png&page=1&ImageParams=imageMogr2", "GET /k?ci-process=videoinfo",
		"GET /k?ci-process=QRcode&cover=0", "GET /k?ci-process=originImage", "GET /k?ci-process=filehash&type=md5",
		"GET /k?versionId=1&ci-process=sensitive-content-recognition&detect-type=porn",
	} {
		t.Run(request, func(t *testing.T) {
			r := start(t, setup{options: restrict})
			_, sent, _ := strings.Cut(request, " ")
			sent = strings.ReplaceAll(sent, "|", "%7C")
			rep := r.exchange(t, strings.ReplaceAll(request, "|", "%7C")+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			if got := r.upstream.only(t).target(); got != sent {
				t.Errorf("sent as %s", got)
			}
			if !strings.Contains(r.metrics(t), "\ncosproxy_query_parameters_removed_total 0\n") {
				t.Error("a parameter was counted as removed")
			}
		})
	}
}

// The object prefix is added to the remaining parameters.
func TestUnknownParameter_WithObjectPrefix(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) {
		restrict(o)
		o.Routes[0].ObjectPrefix, o.Routes[0].AllowPrefixes = "dir/", []string{"dir/*"}
	}})
	if rep := r.exchange(t, "GET /?x=1&prefix=a&y HTTP/1.1\r\n\r\n"); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if got := r.upstream.only(t).target(); got != "/?prefix=dir%2Fa" {
		t.Errorf("sent as %s", got)
	}
}
