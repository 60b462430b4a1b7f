package proxy_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// cosNames are the host names of the bucket in COS documents and SDKs.
func cosNames(bucket string) []string {
	return []string{
		bucket + ".cos." + region + ".myqcloud.com",
		bucket + ".cos." + region + ".tencentcos.cn",
		bucket + ".cos-internal." + region + ".myqcloud.com",
		bucket + ".cos-internal." + region + ".tencentcos.cn",
		bucket + ".cos.accelerate.myqcloud.com",
		bucket + ".cos-internal.accelerate.tencentcos.cn",
	}
}

// Every host name of a route's bucket leads to the route, as Host or in an absolute
// target, and without the object prefix.
func TestCOSHosts_EveryHostOfBucket(t *testing.T) {
	const archive = "archive-1250000000"
	for _, name := range cosNames(archive) {
		for how, request := range map[string]string{
			"Host":                 "GET /old%20photos//a%2Fb HTTP/1.1\r\nHost: " + name,
			"Host with port":       "GET /old%20photos//a%2Fb HTTP/1.1\r\nHost: " + name + ":80",
			"Host in capitals":     "GET /old%20photos//a%2Fb HTTP/1.1\r\nHost: " + strings.ToUpper(name),
			"Host with its dot":    "GET /old%20photos//a%2Fb HTTP/1.1\r\nHost: " + name + ".",
			"absolute form":        "GET http://" + name + "/old%20photos//a%2Fb HTTP/1.1\r\nHost: " + name,
			"absolute, https":      "GET https://" + name + ":443/old%20photos//a%2Fb HTTP/1.1\r\nHost: " + name,
			"absolute, other Host": "GET http://" + name + "/old%20photos//a%2Fb HTTP/1.1\r\nHost: localhost",
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				r := several(t)
				if rep := r.exchange(t, request+"\r\n\r\n"); rep.status != http.StatusOK {
					t.Fatalf("status %d: %s", rep.status, rep.body)
				}
				a := r.upstream.only(t)
				if a.Host != archive+".cos."+region+".myqcloud.com" || a.target() != "/old%20photos//a%2Fb" {
					t.Errorf("arrived at %s %s", a.Host, a.target())
				}
			})
		}
	}
}

// A target without a path means the bucket.
func TestAbsoluteTarget_NoPath(t *testing.T) {
	for target, arrives := range map[string]string{
		"http://" + cosHost:               "/",
		"http://" + cosHost + "?prefix=a": "/?prefix=a",
		"http://localhost":                "/",
	} {
		r := start(t, setup{})
		if rep := r.get(t, target); rep.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", target, rep.status, rep.body)
		}
		if got := r.upstream.only(t).target(); got != arrives {
			t.Errorf("%s arrived as %s", target, got)
		}
	}
}

// A Host of the route, with its prefixes, also in absolute form.
func TestCOSHosts_OfRoute(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) {
		o.Routes[0].Hosts = []string{"Photos.example", "other-1250000000.cos." + region + ".myqcloud.com"}
		o.Routes[0].PathPrefix, o.Routes[0].ObjectPrefix = "/p/", "2026/"
	}})
	for i, line := range []string{
		"GET /p/a HTTP/1.1\r\nHost: photos.EXAMPLE.:80",
		"GET http://photos.example/p/a HTTP/1.1\r\nHost: x",
		"GET /p/a HTTP/1.1\r\nHost: other-1250000000.cos." + region + ".myqcloud.com",
	} {
		if rep := r.exchange(t, line+"\r\n\r\n"); rep.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", line, rep.status, rep.body)
		}
		if a := r.upstream.seen()[i]; a.Host != cosHost || a.target() != "/2026/a" {
			t.Errorf("%s arrived at %s %s", line, a.Host, a.target())
		}
	}
}

// A bucket without a route is rejected and never served as another bucket, even if its
// name is an allowed host.
func TestCOSHosts_BucketWithoutRoute(t *testing.T) {
	tests := []struct{ host, says string }{
		{"other-1250000000.cos." + region + ".myqcloud.com", "No route leads to bucket other-1250000000 in " + region},
		{"other-1250000000.cos." + region + ".tencentcos.cn:80", "No route leads to bucket other-1250000000"},
		{bucket + ".cos.ap-beijing.myqcloud.com", "No route leads to bucket " + bucket + " in ap-beijing"},
		{"x" + cosHost, "No route leads to bucket x" + bucket},
		{"other-1250000000.cos-internal.accelerate.tencentcos.cn", "Route.Bucket"},
		{bucket + ".cos-website." + region + ".myqcloud.com", "Route.Bucket"},
		{bucket + ".ci." + region + ".myqcloud.com", "Route.Bucket"},
		{"cos.ap-beijing.myqcloud.com", "Route.Bucket"},
		{"metadata.myqcloud.com", "Route.Bucket"},
	}
	for _, tt := range tests {
		for _, allowed := range []bool{false, true} {
			r := start(t, setup{options: func(o *proxy.Options) {
				if allowed {
					o.AllowedHosts = []string{tt.host}
				}
			}})
			for _, request := range []string{
				"GET /key HTTP/1.1\r\nHost: " + tt.host,
				"GET http://" + tt.host + "/key HTTP/1.1\r\nHost: " + cosHost,
			} {
				doc := r.refused(t, r.exchange(t, request+"\r\n\r\n"), http.StatusMisdirectedRequest, "MisdirectedRequest")
				if !strings.Contains(doc.Message, tt.says) || !strings.Contains(doc.Message, "Route.Bucket") {
					t.Errorf("%s: %s", tt.host, doc.Message)
				}
			}
		}
	}
}

// Over a Unix socket Host may be any name. But an absolute target names another server,
// and the host of a bucket means that bucket.
func TestCOSHosts_UnixSocket(t *testing.T) {
	r := start(t, setup{})
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	r.serveOn(t, l, proxy.ServerOptions{})
	for request, want := range map[string]string{
		"GET /key HTTP/1.1\r\nHost: anything":                                                         "200",
		"GET /key HTTP/1.1\r\nHost: " + cosHost:                                                       "200",
		"GET http://localhost/key HTTP/1.1\r\nHost: localhost":                                        "200",
		"GET http://anything/key HTTP/1.1\r\nHost: anything":                                          "421",
		"GET /key HTTP/1.1\r\nHost: other-1250000000.cos." + region + ".myqcloud.com":                 "421",
		"GET http://other-1250000000.cos." + region + ".myqcloud.com/key HTTP/1.1\r\nHost: localhost": "421",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(request + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("HTTP/1.1 200"))
		if _, err := c.Read(line); err != nil || !strings.HasSuffix(string(line), want) {
			t.Errorf("%s: %q, %v, want %s", request, line, err, want)
		}
		c.Close()
	}
}
