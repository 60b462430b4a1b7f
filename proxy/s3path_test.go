package proxy_test

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// twoBuckets adds a route to another bucket, and a second one to the first bucket.
func twoBuckets(o *proxy.Options) {
	second, other := o.Routes[0], o.Routes[0]
	o.Routes[0].AllowPrefixes = []string{"first/*"}
	o.Routes[0].ObjectPrefix = "first/"
	second.Name, second.PathPrefix, second.AllowPrefixes = "second", "/second/", []string{"second/*"}
	other.Name, other.PathPrefix, other.Bucket, other.AllowPrefixes = "other", "/other/", otherBucket, []string{"*"}
	o.Routes = append(o.Routes, second, other)
}

// The bucket is the first segment of the path, or in Host. Prefixes of routes do not apply.
func TestS3_PathStyle(t *testing.T) {
	const serviceHost = "cos." + region + ".myqcloud.com"
	for _, tt := range []struct{ host, target, bucket, wire string }{
		{"localhost", "/" + bucket + "/first/key", bucket, "/first/key"},
		{"127.0.0.1:4360", "/" + bucket + "/first/key", bucket, "/first/key"},
		{"[::1]:4360", "/" + bucket + "/first/key", bucket, "/first/key"},
		{serviceHost, "/" + bucket + "/first/key", bucket, "/first/key"},
		{"cos." + region + ".tencentcos.cn", "/" + bucket + "/first/key", bucket, "/first/key"},
		{"localhost", "/" + bucket + "/second/key", bucket, "/second/key"},
		{"localhost", "/" + otherBucket + "/other/key", otherBucket, "/other/key"},
		{"localhost", "/" + otherBucket, otherBucket, "/"},
		{"localhost", "/" + otherBucket + "/", otherBucket, "/"},
		{serviceHost, "/" + otherBucket, otherBucket, "/"},
		{"localhost", "/" + otherBucket + "?acl", otherBucket, "/?acl"},
		{"localhost", "/" + otherBucket + "/?list-type=2&prefix=a+b", otherBucket, "/?list-type=2&prefix=a%20b"},
		{"localhost", "/" + otherBucket + "//key", otherBucket, "//key"},
		{"localhost", "/" + otherBucket + "/" + otherBucket + "/key", otherBucket, "/" + otherBucket + "/key"},
		{"localhost", "/" + otherBucket + "/a%2Fb%20c+d(e)~%7E", otherBucket, "/a/b%20c%2Bd%28e%29~~"},
		{"localhost", "/" + otherBucket + "/%e7%9b%ae/", otherBucket, "/%E7%9B%AE/"},
		{bucket + ".localhost", "/first/key", bucket, "/first/key"},
		{otherBucket + ".localhost:4360", "/other/key", otherBucket, "/other/key"},
		{otherBucket + ".LOCALHOST", "/", otherBucket, "/"},
		{cosHost, "/second/key", bucket, "/second/key"},
		{bucket + ".cos.accelerate.myqcloud.com", "/second/key", bucket, "/second/key"},
	} {
		t.Run(tt.host+tt.target, func(t *testing.T) {
			r := start(t, setup{options: twoBuckets})
			rep := r.exchange(t, "GET "+tt.target+" HTTP/1.1\r\nHost: "+tt.host+"\r\n"+dummySignature+"\r\n")
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			a := r.upstream.only(t)
			if want := tt.bucket + ".cos." + region + ".myqcloud.com"; a.target() != tt.wire || a.Host != want {
				t.Errorf("sent to %s %s, want %s %s", a.Host, a.target(), want, tt.wire)
			}
		})
	}
}

// A path without a known bucket stores nothing, above all no object <bucket>/<key>.
func TestS3_UnknownBucket(t *testing.T) {
	r := start(t, setup{options: twoBuckets})
	for _, target := range []string{
		"/nobucket-1250000000/key", "/nobucket-1250000000", "/key", "//key", "//" + bucket + "/key", "/second/key", "/" + bucket + "%2Fkey", "/%65%65%65/", "/%65%65%65%65%65%65/key", "/%65xamplebucket-1250000000/key",
		"/" + strings.ToUpper(bucket) + "/key", "/" + bucket + ".cos." + region + ".myqcloud.com/key", "/./" + bucket + "/key", "/" + bucket + ";/key",
	} {
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			body := ""
			if method == "PUT" {
				body = "x"
			}
			doc := r.refusedS3(t, r.s3(t, method, target, "", body), http.StatusNotFound, "NoSuchBucket")
			if !strings.Contains(doc.Message, bucket+" "+otherBucket) {
				t.Errorf("%s: %s", target, doc.Message)
			}
		}
	}
	// The bucket is in another region than this service host.
	rep := r.exchange(t, "GET /"+bucket+"/key HTTP/1.1\r\nHost: cos.ap-nanjing.myqcloud.com\r\n"+dummySignature+"\r\n")
	r.refusedS3(t, rep, http.StatusMisdirectedRequest, "NoSuchBucket")
	for _, target := range []string{"/" + bucket + "/.", "/" + bucket + "/%2e%2e/", "/" + bucket + "//"} {
		r.refusedS3(t, r.s3(t, "GET", target, "", ""), http.StatusBadRequest, "InvalidURI")
	}
}

func TestS3_UnixSocket(t *testing.T) {
	r := start(t, setup{options: twoBuckets})
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	r.serveOn(t, ln, proxy.ServerOptions{})
	c, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET /" + otherBucket + "/key HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + dummySignature + "\r\n")); err != nil {
		t.Fatal(err)
	}
	var b [12]byte
	if _, err := c.Read(b[:]); err != nil || string(b[:]) != "HTTP/1.1 200" {
		t.Fatalf("%q, %v", b, err)
	}
	if a := r.upstream.only(t); a.target() != "/key" || !strings.HasPrefix(a.Host, otherBucket) {
		t.Errorf("arrived as\n%s", a.head)
	}
}

// ListBuckets goes to the service host of the region.
func TestS3_ListBuckets(t *testing.T) {
	for _, host := range []string{"localhost", "127.0.0.1", "cos." + region + ".myqcloud.com", "service.cos.myqcloud.com"} {
		r := start(t, setup{options: twoBuckets})
		rep := r.exchange(t, "GET /?x-id=ListBuckets HTTP/1.1\r\nHost: "+host+"\r\n"+dummySignature+"\r\n")
		if rep.status != http.StatusOK {
			t.Fatalf("status %d: %s", rep.status, rep.body)
		}
		if a := r.upstream.only(t); a.Host != "cos."+region+".myqcloud.com" || a.target() != "/?x-id=ListBuckets" || !a.isS3() {
			t.Errorf("arrived as\n%s", a.head)
		}
	}
	r := start(t, setup{})
	doc := r.refusedS3(t, r.s3(t, "GET", "/?bucket-region=a", "", ""), http.StatusNotImplemented, "NotImplemented")
	if !strings.Contains(doc.Message, "bucket-region") || !strings.Contains(doc.Message, "ListBuckets") {
		t.Error(doc.Message)
	}
	doc = r.refusedS3(t, r.s3(t, "PUT", "/", "", "x"), http.StatusMethodNotAllowed, "MethodNotAllowed")
	if !strings.Contains(doc.Message, "/<bucket>/<key>") {
		t.Error(doc.Message)
	}
	r = start(t, setup{options: allowOnly("GetObject")})
	r.refusedS3(t, r.s3(t, "GET", "/", "", ""), http.StatusForbidden, "AccessDenied")
}
