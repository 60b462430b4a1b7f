package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

func TestAuthorize_ActionsAndPrefixes(t *testing.T) {
	readOnly := []string{"name/cos:GetObject", "name/cos:HeadObject"}
	everything, dir := []string{"*"}, []string{"dir/*", "a.txt"}
	tests := []struct {
		name              string
		actions, prefixes []string
		request           string
		setting           string // that the refusal names; empty if it passes
	}{
		{"exact action", readOnly, everything, "GET /k", ""},
		{"another action", readOnly, everything, "PUT /k", "default/AllowActions"},
		{"sub-resource is another action", readOnly, everything, "GET /k?acl", "default/AllowActions"},
		{"listing is another action", readOnly, everything, "GET /", "default/AllowActions"},
		{"action by wildcard", []string{"name/cos:Get*"}, everything, "GET /k?acl", ""},
		{"wildcard ends", []string{"name/cos:Get*"}, everything, "DELETE /k", "default/AllowActions"},
		{"every COS action", []string{"name/cos:*"}, everything, "DELETE /k", ""},
		{"action is case-sensitive", []string{"name/cos:getobject"}, everything, "GET /k", "default/AllowActions"},
		{"longer name", []string{"name/cos:GetObject"}, everything, "GET /k?tagging", "default/AllowActions"},
		{"no actions", nil, everything, "GET /k", "default/AllowActions"},
		{"unknown operation, all allowed", everything, everything, "POST /k", ""},
		{"unknown operation, all of COS allowed", []string{"name/cos:*"}, everything, "HEAD /k?acl", ""},
		{"unknown operation, some allowed", []string{"name/cos:Get*"}, everything, "GET /k?live", "default/AllowActions"},

		{"key inside", everything, dir, "GET /dir/k", ""},
		{"prefix itself", everything, dir, "PUT /dir/", ""},
		{"exact key", everything, dir, "GET /a.txt", ""},
		{"longer than the exact key", everything, dir, "GET /a.txt2", "default/AllowPrefixes"},
		{"below the exact key", everything, dir, "GET /a.txt/b", "default/AllowPrefixes"},
		{"similar key", everything, dir, "GET /dirk", "default/AllowPrefixes"},
		{"key outside", everything, dir, "DELETE /other", "default/AllowPrefixes"},
		{"inside by encoding", everything, dir, "GET /dir%2Fk", ""},
		{"dots that stay inside", everything, dir, "GET /dir/sub/../k", ""},
		{"dots that lead out", everything, dir, "GET /dir/../k", "default/AllowPrefixes"},
		{"escaped dots that lead out", everything, dir, "GET /dir%2F%2e%2e%2Fk", "default/AllowPrefixes"},
		{"dots in a name", everything, dir, "GET /dir/..k", ""},
		{"other case", everything, dir, "GET /DIR/k", "default/AllowPrefixes"},
		{"leading slash is a byte of the key", everything, dir, "GET //dir/k", "default/AllowPrefixes"},
		{"no prefixes", everything, nil, "GET /k", "default/AllowPrefixes"},

		{"listing inside", everything, dir, "GET /?prefix=dir/sub", ""},
		{"listing the prefix", everything, dir, "GET /?delimiter=/&prefix=dir%2F", ""},
		{"listing all", everything, dir, "GET /", "default/AllowPrefixes"},
		{"listing more than the prefix", everything, dir, "GET /?prefix=di", "default/AllowPrefixes"},
		{"listing an exact key shows its neighbors", everything, dir, "GET /?prefix=a.txt", "default/AllowPrefixes"},
		{"listing with two prefixes", everything, dir, "GET /?prefix=dir/&prefix=", "default/AllowPrefixes"},
		{"listing with two prefixes, reversed", everything, dir, "GET /?prefix=&prefix=dir/", "default/AllowPrefixes"},
		{"listing all, allowed", everything, everything, "GET /", ""},
		{"listing versions", everything, dir, "GET /?versions&prefix=other/", "default/AllowPrefixes"},
		{"listing uploads", everything, dir, "GET /?uploads", "default/AllowPrefixes"},
		{"listing uploads inside", everything, dir, "GET /?uploads&prefix=dir/", ""},
		{"bucket configuration has no prefix", everything, dir, "GET /?cors", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowActions, o.Routes[0].AllowPrefixes = tt.actions, tt.prefixes }})
			rep := r.exchange(t, tt.request+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
			if tt.setting == "" {
				if rep.status != http.StatusOK {
					t.Errorf("status %d: %s", rep.status, rep.body)
				}
				return
			}
			doc := r.refused(t, rep, http.StatusForbidden, "AccessDenied")
			if !strings.Contains(doc.Message, tt.setting) {
				t.Errorf("the message does not name %s: %s", tt.setting, doc.Message)
			}
		})
	}
}

// A copy also reads: only from the bucket of the route, and only what the route allows
// to read.
func TestAuthorize_CopySource(t *testing.T) {
	upload := []string{"name/cos:PutObject", "name/cos:UploadPart"}
	tests := []struct {
		name    string
		actions []string
		headers string
		status  int
		code    string
	}{
		{"own bucket", []string{"*"}, "x-cos-copy-source: " + cosHost + "/dir/from", 200, ""},
		{"encoded key", []string{"*"}, "x-cos-copy-source: " + cosHost + "/dir%2F%E7%9B%AE", 200, ""},
		{"a version", []string{"*"}, "x-cos-copy-source: " + cosHost + "/dir/from?versionId=1", 200, ""},
		{"backup domain", []string{"*"}, "x-cos-copy-source: " + bucket + ".cos." + region + ".tencentcos.cn/dir/from", 200, ""},
		{"host in capitals", []string{"*"}, "x-cos-copy-source: " + strings.ToUpper(cosHost) + "/dir/from", 200, ""},
		{"other bucket", []string{"*"}, "x-cos-copy-source: otherbucket-1250000000.cos." + region + ".myqcloud.com/dir/from", 403, "AccessDenied"},
		{"other region", []string{"*"}, "x-cos-copy-source: " + bucket + ".cos.ap-beijing.myqcloud.com/dir/from", 403, "AccessDenied"},
		{"longer bucket name", []string{"*"}, "x-cos-copy-source: x" + cosHost + "/dir/from", 403, "AccessDenied"},
		{"outside the prefixes", []string{"*"}, "x-cos-copy-source: " + cosHost + "/other", 403, "AccessDenied"},
		{"dots that lead out", []string{"*"}, "x-cos-copy-source: " + cosHost + "/dir%2F..", 403, "AccessDenied"},
		{"may not read", upload, "x-cos-copy-source: " + cosHost + "/dir/from", 403, "AccessDenied"},
		{"broken escape", []string{"*"}, "x-cos-copy-source: " + cosHost + "/dir/%zz", 400, "InvalidArgument"},
		{"no key", []string{"*"}, "x-cos-copy-source: " + cosHost + "/", 400, "InvalidArgument"},
		{"no slash", []string{"*"}, "x-cos-copy-source: " + cosHost, 400, "InvalidArgument"},
		{"with a scheme", []string{"*"}, "x-cos-copy-source: https://" + cosHost + "/dir/from", 200, ""},
		{
			"two sources", []string{"*"},
			"x-cos-copy-source: " + cosHost + "/dir/from\r\nx-cos-copy-source: otherbucket-1250000000.cos." + region + ".myqcloud.com/x",
			400, "InvalidArgument",
		},
		{
			"two sources, the first empty", []string{"*"},
			"x-cos-copy-source:\r\nx-cos-copy-source: otherbucket-1250000000.cos." + region + ".myqcloud.com/x",
			400, "InvalidArgument",
		},
		{"empty", []string{"*"}, "x-cos-copy-source:", 400, "InvalidArgument"},
	}
	for _, tt := range tests {
		for _, target := range []string{"/dir/to", "/dir/to?partNumber=1&uploadId=u"} {
			t.Run(tt.name+" "+target, func(t *testing.T) {
				r := start(t, setup{options: func(o *proxy.Options) {
					o.Routes[0].AllowActions, o.Routes[0].AllowPrefixes = tt.actions, []string{"dir/*"}
				}})
				rep := r.exchange(t, "PUT "+target+" HTTP/1.1\r\n"+tt.headers+"\r\nContent-Length: 0\r\n\r\n")
				if tt.status != http.StatusOK {
					r.refused(t, rep, tt.status, tt.code)
				} else if rep.status != http.StatusOK {
					t.Errorf("status %d: %s", rep.status, rep.body)
				}
			})
		}
	}
}
