package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// writeActions are the actions of the preset write, without tagging.
var writeActions = []string{
	"name/cos:PutObject", "name/cos:PostObject", "name/cos:AppendObject", "name/cos:InitiateMultipartUpload",
	"name/cos:UploadPart", "name/cos:CompleteMultipartUpload", "name/cos:GetObject", "name/cos:PutBucket",
}

// writes are requests that store something. header goes into their header.
var writes = map[string]string{
	"put":       "PUT /dir/a HTTP/1.1\r\nHEADERSContent-Length: 1\r\n\r\nx",
	"append":    "POST /dir/a?append&position=0 HTTP/1.1\r\nHEADERSContent-Length: 1\r\n\r\nx",
	"multipart": "POST /dir/a?uploads HTTP/1.1\r\nHEADERSContent-Length: 0\r\n\r\n",
	"copy":      "PUT /dir/b HTTP/1.1\r\nx-cos-copy-source: " + cosHost + "/dir/a\r\nHEADERSContent-Length: 0\r\n\r\n",
	"complete":  "POST /dir/a?uploadId=u HTTP/1.1\r\nHEADERSContent-Length: 1\r\n\r\nx",
}

// wantRight checks that a write requires action in addition to its own, or none if
// action is empty.
func wantRight(t *testing.T, request, action string) {
	t.Helper()
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowActions = writeActions }})
	rep := r.exchange(t, request)
	if action == "" {
		if rep.status != http.StatusOK {
			t.Errorf("status %d: %s", rep.status, rep.body)
		}
		return
	}
	doc := r.refused(t, rep, http.StatusForbidden, "AccessDenied")
	if !strings.Contains(doc.Message, action) || !strings.Contains(doc.Message, "default/AllowActions") {
		t.Errorf("the message does not name %s and its setting: %s", action, doc.Message)
	}
	r = start(t, setup{options: func(o *proxy.Options) {
		o.Routes[0].AllowActions = append([]string{"name/cos:" + action}, writeActions...)
	}})
	if rep := r.exchange(t, request); rep.status != http.StatusOK {
		t.Errorf("status %d with %s: %s", rep.status, action, rep.body)
	}
}

// COS checks these header fields under the action of the write, so the route must check
// them.
func TestACLHeaders_RequireAction(t *testing.T) {
	tests := []struct{ name, headers, action string }{
		{"public-read", "x-cos-acl: public-read", "PutObjectACL"},
		{"public-read-write", "X-COS-ACL: public-read-write", "PutObjectACL"},
		{"authenticated-read", "x-cos-acl: authenticated-read", "PutObjectACL"},
		{"bucket-owner-full-control", "x-cos-acl: bucket-owner-full-control", "PutObjectACL"},
		{"another case", "x-cos-acl: Private", "PutObjectACL"},
		{"a list", "x-cos-acl: private, public-read", "PutObjectACL"},
		{"a value with blanks", "x-cos-acl: private private", "PutObjectACL"},
		{"a value that cannot be known", "x-cos-acl: \"private\"", "PutObjectACL"},
		{"empty", "x-cos-acl:", "PutObjectACL"},
		{"twice", "x-cos-acl: private\r\nx-cos-acl: public-read", "PutObjectACL"},
		{"twice the same", "x-cos-acl: private\r\nX-Cos-Acl: private", "PutObjectACL"},
		{"grant-read", `x-cos-grant-read: id="100000000001"`, "PutObjectACL"},
		{"grant-write", `x-cos-grant-write: id="100000000001"`, "PutObjectACL"},
		{"grant-read-acp", `x-cos-grant-read-acp: id="100000000001"`, "PutObjectACL"},
		{"grant-write-acp", `x-cos-grant-write-acp: id="100000000001"`, "PutObjectACL"},
		{"grant-full-control", `X-Cos-Grant-Full-Control: id="100000000001"`, "PutObjectACL"},
		{"a grant of tomorrow", "x-cos-grant-everything: x", "PutObjectACL"},
		{"tags", "x-cos-tagging: a=b", "PutObjectTagging"},
		{"no tags", "X-COS-Tagging:", "PutObjectTagging"},
		{"harmless", "x-cos-acl: private", ""},
		{"harmless, of the bucket", "x-cos-acl: \t default ", ""},
		{"none of these", "x-cos-meta-acl: public-read\r\nx-cos-storage-class: STANDARD", ""},
	}
	for _, tt := range tests {
		for write, request := range writes {
			t.Run(tt.name+" "+write, func(t *testing.T) {
				wantRight(t, strings.Replace(request, "HEADERS", tt.headers+"\r\n", 1), tt.action)
			})
		}
	}
}

// The ACL and tags of a bucket have actions of their own.
func TestACLHeaders_OfBuckets(t *testing.T) {
	for header, action := range map[string]string{
		"x-cos-acl: public-read": "PutBucketACL", "x-cos-grant-write: id=\"1\"": "PutBucketACL", "x-cos-tagging: a=b": "PutBucketTagging",
	} {
		r := start(t, setup{options: func(o *proxy.Options) {
			o.Routes[0].AllowActions = append([]string{"name/cos:PutObjectACL", "name/cos:PutObjectTagging"}, writeActions...)
		}})
		doc := r.refused(t, r.exchange(t, "PUT / HTTP/1.1\r\n"+header+"\r\nContent-Length: 0\r\n\r\n"), http.StatusForbidden, "AccessDenied")
		if !strings.Contains(doc.Message, action) {
			t.Errorf("%s: %s", header, doc.Message)
		}
	}
}

// The fields of a form have the same meaning as these header fields, in any letter
// case.
func TestACLFields_RequireAction(t *testing.T) {
	tests := []struct{ name, value, action string }{
		{"acl", "public-read", "PutObjectACL"},
		{"ACL", "public-read-write", "PutObjectACL"},
		{"Acl", "authenticated-read", "PutObjectACL"},
		{"acl", " private", "PutObjectACL"},
		{"acl", "", "PutObjectACL"},
		{"x-cos-acl", "public-read", "PutObjectACL"},
		{"X-Cos-ACL", "PRIVATE", "PutObjectACL"},
		{"x-cos-grant-read", `id="1"`, "PutObjectACL"},
		{"X-COS-Grant-Full-Control", `id="1"`, "PutObjectACL"},
		{"tagging", "<Tagging/>", "PutObjectTagging"},
		{"Tagging", "", "PutObjectTagging"},
		{"x-cos-tagging", "a=b", "PutObjectTagging"},
		{"acl", "private", ""},
		{"X-cos-acl", "default", ""},
		{"x-cos-meta-acl", "public-read", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			wantRight(t, post("/", "", field("key", "dir/a")+field(tt.name, tt.value)+file("f", "x"+closing)), tt.action)
		})
	}
}

// Of several routes to one bucket, the one that allows the ACL serves the request, for
// header fields and form fields.
func TestACLHeaders_AnotherRouteAllows(t *testing.T) {
	for name, request := range map[string]string{
		"header": "PUT /dir/a HTTP/1.1\r\nHost: " + cosHost + "\r\nx-cos-acl: public-read\r\nContent-Length: 1\r\n\r\nx",
		"field": strings.Replace(post("/", "", field("key", "dir/a")+field("acl", "public-read")+file("f", "x"+closing)),
			"Host: localhost", "Host: "+cosHost, 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) {
				second := o.Routes[0]
				o.Routes[0].AllowActions = writeActions
				second.Name, second.PathPrefix = "second", "/second/"
				second.AllowActions = append([]string{"name/cos:PutObjectACL"}, writeActions...)
				o.Routes = append(o.Routes, second)
			}})
			if rep := r.exchange(t, request); rep.status != http.StatusOK {
				t.Errorf("status %d: %s", rep.status, rep.body)
			}
		})
	}
}
