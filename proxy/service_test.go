package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// service is a rig with two routes, of which only the second may list the buckets.
func service(t *testing.T, endpoint string) *rig {
	return start(t, setup{options: func(o *proxy.Options) {
		first := o.Routes[0]
		first.Name, first.PathPrefix, first.Endpoint = "first", "/first/", endpoint
		first.AllowActions, first.AllowPrefixes = []string{"*"}, []string{"dir/*"}
		second := first
		second.Name, second.PathPrefix, second.Bucket = "second", "/second/", "second-1250000000"
		second.AllowActions, second.AllowPrefixes = []string{"name/cos:GetService", "name/cos:GetObject"}, []string{"a/*"}
		o.Routes = []proxy.Route{first, second}
	}})
}

func TestGetService(t *testing.T) {
	tests := []struct{ endpoint, asked, arrives string }{
		{plainCOS, "service.cos.myqcloud.com", "service.cos.myqcloud.com"},
		{plainCOS, "service.cos.tencentcos.cn", "service.cos.tencentcos.cn"},
		{plainCOS, "COS." + region + ".myqcloud.com.:80", "cos." + region + ".myqcloud.com"},
		{plainCOS, "cos." + region + ".tencentcos.cn", "cos." + region + ".tencentcos.cn"},
		{plainCOS + ":8080", "service.cos.myqcloud.com", "service.cos.myqcloud.com:8080"},
		{"http://{bucket}.oss.internal:81", "service.cos.myqcloud.com", "oss.internal:81"},
	}
	for _, tt := range tests {
		t.Run(tt.endpoint+" "+tt.asked, func(t *testing.T) {
			r := service(t, tt.endpoint)
			if rep := r.exchange(t, "GET http://"+tt.asked+"/?_=1&max-keys=1&acl HTTP/1.1\r\n\r\n"); rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			if a := r.upstream.only(t); a.Host != tt.arrives || a.target() != "/?max-keys=1" {
				t.Errorf("arrived at %s %s, want %s", a.Host, a.target(), tt.arrives)
			}
			if log := r.drained(t); !strings.Contains(log, `cosproxy.route=second cos.object_key="" cos.action=name/cos:GetService`) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func TestGetService_Rejected(t *testing.T) {
	const host = "service.cos.myqcloud.com"
	tests := []struct {
		name, endpoint, request, host string
		actions, prefixes             []string
		status                        int
		code, says                    string
	}{
		{"not allowed", "", "GET /", host, []string{"name/cos:GetObject"}, []string{"*"}, 403, "AccessDenied", "default/AllowActions"},
		{"all actions on some keys", "", "GET /", host, []string{"*"}, []string{"dir/*"}, 403, "AccessDenied", "name/cos:GetService"},
		{"other method", "", "DELETE /", host, []string{"*"}, []string{"*"}, 405, "MethodNotAllowed", "GET /"},
		{"object", "", "GET /key", host, []string{"*"}, []string{"*"}, 421, "MisdirectedRequest", "Route.Bucket"},
		{"bucket of no region", "", "GET /" + bucket + "/key", host, []string{"*"}, []string{"*"}, 421, "MisdirectedRequest", "Route.Bucket"},
		{"no service in the endpoint", "http://files.internal", "GET /", host, []string{"*"}, []string{"*"}, 501, "NotImplemented", "Route.Endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) {
				o.Routes[0].AllowActions, o.Routes[0].AllowPrefixes, o.Routes[0].Endpoint = tt.actions, tt.prefixes, tt.endpoint
			}})
			doc := r.refused(t, r.exchange(t, tt.request+" HTTP/1.1\r\nHost: "+tt.host+"\r\n\r\n"), tt.status, tt.code)
			if !strings.Contains(doc.Message, tt.says) {
				t.Errorf("%q does not say %q", doc.Message, tt.says)
			}
		})
	}
}

// A path-style request is forwarded to the host of the bucket.
func TestGetService_PathStyle(t *testing.T) {
	host := "cos." + region + ".myqcloud.com"
	for target, arrives := range map[string]string{
		"/" + bucket + "/dir//a%2Fb?acl": "/dir//a%2Fb?acl",
		"/" + bucket + "/?prefix=dir/":   "/?prefix=dir/",
		"/" + bucket + "?prefix=dir/":    "/?prefix=dir/",
	} {
		r := service(t, plainCOS)
		if rep := r.exchange(t, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); rep.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", target, rep.status, rep.body)
		}
		if a := r.upstream.only(t); a.Host != cosHost || a.target() != arrives {
			t.Errorf("%s arrived at %s %s", target, a.Host, a.target())
		}
	}
	r := service(t, plainCOS)
	for target, want := range map[string]struct {
		status int
		code   string
	}{
		"/other-1250000000/key":                    {421, "MisdirectedRequest"},
		"/" + bucket + "x/dir/key":                 {421, "MisdirectedRequest"},
		"/" + bucket[:5] + "%6C" + "/dir/k":        {421, "MisdirectedRequest"},
		"/" + bucket + "%2Fdir/key":                {421, "MisdirectedRequest"},
		"//" + bucket + "/dir/key":                 {421, "MisdirectedRequest"},
		"/" + bucket + "/other":                    {403, "AccessDenied"},
		"/" + bucket + "/..":                       {400, "InvalidURI"},
		"/" + bucket + "//":                        {400, "InvalidURI"},
		"/" + bucket + "/dir/../other":             {403, "AccessDenied"},
		"/" + bucket + "/../second-1250000000/a/k": {403, "AccessDenied"},
	} {
		r.refused(t, r.exchange(t, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), want.status, want.code)
	}
}
