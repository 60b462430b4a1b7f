package proxy_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// rule is one line of testdata/actions.json.
type rule struct {
	Target        string   `json:"target"`
	Method        string   `json:"method"`
	QueryPresent  []string `json:"query_present"`
	HeaderPresent []string `json:"header_present"`
	Action        string   `json:"action"`
}

func readRules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile("testdata/actions.json")
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

// Every documented operation has its action. The service is not reachable through
// a bucket's door, so its rule never applies.
func TestEveryDocumentedOperation(t *testing.T) {
	for _, rule := range readRules(t) {
		key := ""
		switch rule.Target {
		case "service":
			continue
		case "object":
			key = "dir/key"
		}
		query := strings.Join(rule.QueryPresent, "=1&")
		t.Run(rule.Method+" "+rule.Target+"?"+query, func(t *testing.T) {
			action, err := proxy.Classify(rule.Method, key, query)
			if err != nil || action != rule.Action {
				t.Errorf("got %q (%v), want %q", action, err, rule.Action)
			}
			for _, noise := range []string{"versionId=1&" + query, query + "&x-cos-traffic-limit=819200", "response-content-type=a&" + query} {
				if noisy, _ := proxy.Classify(rule.Method, key, noise); noisy != rule.Action {
					t.Errorf("?%s: got %q, want %q", noise, noisy, rule.Action)
				}
			}
		})
	}
}

// What the rules leave open.
func TestClassify(t *testing.T) {
	tests := []struct{ method, key, query, action string }{
		{"GET", "k", "", "name/cos:GetObject"},
		{"GET", "k", "acl", "name/cos:GetObjectACL"},
		{"GET", "k", "%61cl", "name/cos:GetObjectACL"},
		{"GET", "k", "ACL", "name/cos:GetObject"}, // names are case-sensitive
		{"GET", "k", "uploadid=1", "name/cos:GetObject"},
		{"GET", "k", "acl&tagging", "name/cos:GetObjectACL"}, // COS routes on the first
		{"GET", "k", "tagging&acl", "name/cos:GetObjectTagging"},
		{"GET", "k", "prefix=acl", "name/cos:GetObject"},
		{"GET", "k", "imageMogr2/thumbnail/50x", "name/cos:GetObject"},
		{"HEAD", "k", "acl", ""},
		{"DELETE", "k", "acl", ""},
		{"POST", "k", "", ""},
		{"PUT", "k", "uploads", ""},
		{"GET", "k", "live", ""},
		{"PUT", "", "live", ""},
		{"GET", "", "uploadId=1", ""}, // a sub-resource of objects
		{"GET", "k", "lifecycle", ""}, // a sub-resource of buckets
		{"GET", "", "inventory", "name/cos:ListBucketInventory"},
		{"GET", "", "id=1&inventory", "name/cos:GetBucketInventory"},
		{"POST", "", "delete", "name/cos:DeleteObject"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" /"+tt.key+"?"+tt.query, func(t *testing.T) {
			if got, err := proxy.Classify(tt.method, tt.key, tt.query); err != nil || got != tt.action {
				t.Errorf("got %q (%v), want %q", got, err, tt.action)
			}
		})
	}
}

func TestAuthorization(t *testing.T) {
	readOnly := []string{"name/cos:GetObject", "name/cos:HeadObject"}
	everything, dir := []string{"*"}, []string{"dir/*", "a.txt"}
	tests := []struct {
		name              string
		actions, prefixes []string
		request           string
		setting           string // that the refusal names; empty if it passes
	}{
		{"exact action", readOnly, everything, "GET /k", ""},
		{"another action", readOnly, everything, "PUT /k", "COSPROXY_ACTIONS"},
		{"sub-resource is another action", readOnly, everything, "GET /k?acl", "COSPROXY_ACTIONS"},
		{"listing is another action", readOnly, everything, "GET /", "COSPROXY_ACTIONS"},
		{"action by wildcard", []string{"name/cos:Get*"}, everything, "GET /k?acl", ""},
		{"wildcard ends", []string{"name/cos:Get*"}, everything, "DELETE /k", "COSPROXY_ACTIONS"},
		{"every COS action", []string{"name/cos:*"}, everything, "DELETE /k", ""},
		{"action is case-sensitive", []string{"name/cos:getobject"}, everything, "GET /k", "COSPROXY_ACTIONS"},
		{"longer name", []string{"name/cos:GetObject"}, everything, "GET /k?tagging", "COSPROXY_ACTIONS"},
		{"no actions", nil, everything, "GET /k", "COSPROXY_ACTIONS"},
		{"unknown operation, all allowed", everything, everything, "POST /k", ""},
		{"unknown operation, all of COS allowed", []string{"name/cos:*"}, everything, "HEAD /k?acl", ""},
		{"unknown operation, some allowed", []string{"name/cos:Get*"}, everything, "GET /k?live", "COSPROXY_ACTIONS"},

		{"key inside", everything, dir, "GET /dir/k", ""},
		{"prefix itself", everything, dir, "PUT /dir/", ""},
		{"exact key", everything, dir, "GET /a.txt", ""},
		{"longer than the exact key", everything, dir, "GET /a.txt2", "COSPROXY_PREFIXES"},
		{"below the exact key", everything, dir, "GET /a.txt/b", "COSPROXY_PREFIXES"},
		{"key beside", everything, dir, "GET /dirk", "COSPROXY_PREFIXES"},
		{"key outside", everything, dir, "DELETE /other", "COSPROXY_PREFIXES"},
		{"inside by encoding", everything, dir, "GET /dir%2Fk", ""},
		{"dots that stay inside", everything, dir, "GET /dir/sub/../k", ""},
		{"dots that lead out", everything, dir, "GET /dir/../k", "COSPROXY_PREFIXES"},
		{"escaped dots that lead out", everything, dir, "GET /dir%2F%2e%2e%2Fk", "COSPROXY_PREFIXES"},
		{"dots in a name", everything, dir, "GET /dir/..k", ""},
		{"other case", everything, dir, "GET /DIR/k", "COSPROXY_PREFIXES"},
		{"leading slash is a byte of the key", everything, dir, "GET //dir/k", "COSPROXY_PREFIXES"},
		{"no prefixes", everything, nil, "GET /k", "COSPROXY_PREFIXES"},

		{"listing inside", everything, dir, "GET /?prefix=dir/sub", ""},
		{"listing the prefix", everything, dir, "GET /?delimiter=/&prefix=dir%2F", ""},
		{"listing all", everything, dir, "GET /", "COSPROXY_PREFIXES"},
		{"listing more than the prefix", everything, dir, "GET /?prefix=di", "COSPROXY_PREFIXES"},
		{"listing an exact key shows its neighbours", everything, dir, "GET /?prefix=a.txt", "COSPROXY_PREFIXES"},
		{"listing with two prefixes", everything, dir, "GET /?prefix=dir/&prefix=", "COSPROXY_PREFIXES"},
		{"listing with two prefixes, reversed", everything, dir, "GET /?prefix=&prefix=dir/", "COSPROXY_PREFIXES"},
		{"listing all, allowed", everything, everything, "GET /", ""},
		{"listing versions", everything, dir, "GET /?versions&prefix=other/", "COSPROXY_PREFIXES"},
		{"listing uploads", everything, dir, "GET /?uploads", "COSPROXY_PREFIXES"},
		{"listing uploads inside", everything, dir, "GET /?uploads&prefix=dir/", ""},
		{"bucket configuration has no prefix", everything, dir, "GET /?cors", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].Actions, o.Routes[0].Prefixes = tt.actions, tt.prefixes }})
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

// A copy also reads: from the route's own bucket, and what the route may read.
func TestCopySource(t *testing.T) {
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
					o.Routes[0].Actions, o.Routes[0].Prefixes = tt.actions, []string{"dir/*"}
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
