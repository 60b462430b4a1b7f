package proxy_test

import (
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// FuzzProxy sends arbitrary bytes. Every request that reaches COS is complete, signed
// with the stub's credentials (the upstream of the rig checks that), for the bucket or
// the list of buckets, and has no part of a client's signature.
func FuzzProxy(f *testing.F) {
	for _, seed := range []string{
		noBody, knownLength, chunkedBody, bothLengths, optionsStar, looksAsIfTwo,
		noBody + knownLength + chunkedBody + postWithBody + blankLines + bothLengths,
		"GET /a%2Fb//..?acl&prefix=a+b;c&x=%zz HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
		"PUT /%E7%9B%AE HTTP/1.1\r\nHost: LOCALHOST\r\nAuthorization: client\r\nx-cos-security-token: client\r\nConnection: x-a\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n",
		"GET http://" + cosHost + "//x?q-ak=client&Q-SIGNATURE=client HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://service.cos.myqcloud.com/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /" + bucket + "/k HTTP/1.1\r\nHost: cos." + region + ".tencentcos.cn.:80\r\n\r\n",
		"PUT /k HTTP/1.1\r\nHost: " + bucket + ".cos.accelerate.myqcloud.com\r\nx-cos-copy-source: localhost:1/a%2Fb?versionId=1\r\nContent-Length: 0\r\n\r\n",
		"DELETE /k HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n" + noBody,
		"PUT /k HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\nshort",
		"HEAD /k?acl HTTP/1.1\nHost: localhost\nRange: bytes=0-\nIf-None-Match: *\nX-Cos-Meta-A:\t b \nx-cos-meta-a: c\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := start(t, setup{options: func(o *proxy.Options) { o.Logger = nil }})
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(wire)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
		if log := r.log.String(); strings.Contains(log, "panic") {
			t.Errorf("%q: %s", wire, log)
		}
		for _, a := range r.upstream.seen() {
			h := a.wire()
			service := a.Method == http.MethodGet && a.URL.Path == "/" && slices.Contains(serviceNames, h.Get("Host"))
			if h.Get("Host") != cosHost && !service || len(h["Host"]) != 1 || strings.HasPrefix(h.Get("Authorization"), "client") {
				t.Errorf("%q arrived as\n%s", wire, a.head)
			}
			if target, _, _ := strings.Cut(a.target(), "?"); target != "/" && path.Clean(a.URL.Path) == "/" {
				t.Errorf("%q arrived at the bucket:\n%s", wire, a.head)
			}
			if _, both := h["Content-Length"]; both && h.Get("Transfer-Encoding") != "" {
				t.Errorf("%q arrived with two lengths:\n%s", wire, a.head)
			}
		}
	})
}

// serviceNames are the service hosts.
var serviceNames = []string{
	"service.cos.myqcloud.com", "service.cos.tencentcos.cn", "cos." + region + ".myqcloud.com", "cos." + region + ".tencentcos.cn",
	"cos-internal." + region + ".myqcloud.com", "cos-internal." + region + ".tencentcos.cn",
}
