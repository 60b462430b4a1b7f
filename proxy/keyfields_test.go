package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// keyRequests are requests for an object key inside dir/ that also name one outside.
var keyRequests = map[string]string{
	"rename":           "PUT /dir/a?rename HTTP/1.1\r\nx-cos-rename-source: /secret\r\nContent-Length: 0\r\n\r\n",
	"rename, hidden":   "PUT /dir/a HTTP/1.1\r\nx-cos-rename-source: /secret\r\nContent-Length: 0\r\n\r\n",
	"link":             "PUT /dir/a?symlink HTTP/1.1\r\nx-cos-symlink-target: secret\r\nContent-Length: 0\r\n\r\n",
	"picture":          "PUT /dir/a HTTP/1.1\r\nPic-Operations: {\"rules\":[{\"fileid\":\"/secret\",\"rule\":\"imageView2/1\"}]}\r\nContent-Length: 0\r\n\r\n",
	"picture, twice":   "PUT /dir/a HTTP/1.1\r\npic-operations:\r\nPIC-OPERATIONS: {}\r\nContent-Length: 0\r\n\r\n",
	"source parameter": "PUT /dir/a?X-Cos-Copy-Source=" + cosHost + "/secret HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
	"picture in a form": post("/", "", field("key", "dir/a")+field("PIC-operations", `{"rules":[{"fileid":"/secret"}]}`)+
		file("f", "x"+closing)),
}

func TestKeyFields_RequireAllKeys(t *testing.T) {
	for name, request := range keyRequests {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
			doc := r.refused(t, r.exchange(t, request), http.StatusForbidden, "AccessDenied")
			if !strings.Contains(doc.Message, "default/AllowPrefixes") {
				t.Errorf("%s", doc.Message)
			}
			r = start(t, setup{}) // all keys are allowed
			if rep := r.exchange(t, request); rep.status != http.StatusOK {
				t.Errorf("status %d: %s", rep.status, rep.body)
			}
		})
	}
}

// Processed pictures are stored in the bucket of the route, even if all keys are
// allowed.
func TestKeyFields_PicturesInAnotherBucket(t *testing.T) {
	for _, rules := range []string{
		`{"rules":[{"fileid":"a"},{"fileid":"b","bucket":"otherbucket-1250000000"}]}`,
		`{"rules":[{"Bucket":"otherbucket-1250000000"}]}`,
		`{"rules":[{"\u0062ucket":"otherbucket-1250000000"}]}`,
	} {
		for _, request := range []string{
			"PUT /a HTTP/1.1\r\nPic-Operations: " + rules + "\r\nContent-Length: 0\r\n\r\n",
			post("/", "", field("key", "a")+field("Pic-Operations", rules)+file("f", "x"+closing)),
		} {
			r := start(t, setup{})
			doc := r.refused(t, r.exchange(t, request), http.StatusForbidden, "AccessDenied")
			if !strings.Contains(doc.Message, "has a bucket field") {
				t.Errorf("%s", doc.Message)
			}
		}
	}
}

// A rename is not PutObject and has no documented action.
func TestKeyFields_RenameIsNotUpload(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowActions = []string{"name/cos:PutObject"} }})
	r.refused(t, r.exchange(t, keyRequests["rename"]), http.StatusForbidden, "AccessDenied")
}
