package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// several is a rig with routes to two buckets, one of them with two sets of allowed
// actions.
func several(t *testing.T) *rig {
	return start(t, setup{options: func(o *proxy.Options) {
		base := o.Routes[0]
		base.AllowActions, base.AllowPrefixes = []string{"name/cos:*"}, []string{"*"}
		photos, archive, reports, tenant := base, base, base, base
		photos.Name, photos.PathPrefix = "photos", "/photos/"
		photos.AllowActions = []string{"name/cos:GetObject", "name/cos:GetBucket"}
		archive.Name, archive.PathPrefix = "archive", "/photos/archive/"
		archive.Bucket, archive.ObjectPrefix, archive.AllowPrefixes = "archive-1250000000", "old photos/", []string{"old photos/*"}
		reports.Name, reports.Hosts = "reports", []string{"Reports.internal"}
		reports.Bucket = "reports-1250000000"
		tenant.Name, tenant.Hosts, tenant.PathPrefix = "tenant", []string{"reports.internal"}, "/tenant/"
		plus := photos
		plus.Name, plus.PathPrefix, plus.Bucket, plus.ObjectPrefix, plus.AllowPrefixes = "plus", "/plus/", "plus-1250000000", "a+b/", []string{"a+b/*"}
		o.Routes = []proxy.Route{photos, archive, reports, tenant, plus}
	}})
}

func TestRoutes(t *testing.T) {
	const photos, archive, reports = bucket, "archive-1250000000", "reports-1250000000"
	cosHost := func(b string) string { return b + ".cos." + region + ".myqcloud.com" }
	tests := []struct {
		name, host, target string
		bucket, arrives    string
	}{
		{"path prefix", "localhost", "/photos/a.jpg", photos, "/a.jpg"},
		{"the bucket itself", "localhost", "/photos/?prefix=a", photos, "/?prefix=a"},
		{"escapes behind the prefix", "localhost", "/photos/a%2Fb%20c//d", photos, "/a%2Fb%20c//d"},
		{"longest prefix", "localhost", "/photos/archive/a.jpg", archive, "/old%20photos/a.jpg"},
		{"key prefix keeps escapes", "localhost", "/photos/archive/a%2Fb+c", archive, "/old%20photos/a%2Fb%2Bc"},
		{"plus", "localhost", "/photos/a+b", photos, "/a%2Bb"},
		{"escaped plus", "localhost", "/photos/a%2bb%2B", photos, "/a%2bb%2B"},
		{"plus and bytes to escape", "localhost", "/photos/a+b%2F{", photos, "/a%2Bb%2F%7B"},
		{"plus in the key prefix", "localhost", "/plus/c+d", "plus-1250000000", "/a%2Bb/c%2Bd"},
		{"listing under the key prefix", "localhost", "/photos/archive/?prefix=2020/&delimiter=/", archive, "/?prefix=old%20photos%2F2020/&delimiter=/"},
		{"listing without a prefix", "localhost", "/photos/archive/?max-keys=2", archive, "/?max-keys=2&prefix=old%20photos%2F"},
		{"listing with a trailing separator", "localhost", "/photos/archive/?max-keys=2&", archive, "/?max-keys=2&prefix=old%20photos%2F"},
		{"listing without a query", "localhost", "/photos/archive/", archive, "/?prefix=old%20photos%2F"},
		{"host", "reports.INTERNAL:80", "/photos/a", reports, "/photos/a"},
		{"host and path", "reports.internal", "/tenant/a", photos, "/a"},
		{"the bucket's own host", cosHost(reports), "/tenant/a", reports, "/tenant/a"},
		{"the bucket's own host, no key prefix", cosHost(archive), "/old%20photos/a", archive, "/old%20photos/a"},
		{"the bucket's own host, the first route that allows it", cosHost(photos), "/a?acl", photos, "/a?acl"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := several(t)
			rep := r.exchange(t, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", tt.target, tt.host))
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			a := r.upstream.only(t)
			if a.Host != cosHost(tt.bucket) || a.target() != tt.arrives {
				t.Errorf("arrived at %s %s, want %s %s", a.Host, a.target(), cosHost(tt.bucket), tt.arrives)
			}
		})
	}
}

func TestRoutes_Rejected(t *testing.T) {
	tests := []struct {
		name, request, host string
		status              int
		code, says          string
	}{
		{"no route", "GET /elsewhere/a", "localhost", 404, "NoSuchRoute", "/photos/"},
		{"prefix without its slash", "GET /photos", "localhost", 404, "NoSuchRoute", "/photos/"},
		{"escaped prefix", "GET /photos%2Fa", "localhost", 404, "NoSuchRoute", "/photos/"},
		{"action", "DELETE /photos/a", "localhost", 403, "AccessDenied", "route photos of this sidecar. To allow it, extend photos/AllowActions"},
		{"key outside, by the bucket's host", "GET /young/a", "archive-1250000000.cos." + region + ".myqcloud.com", 403, "AccessDenied", "archive/AllowPrefixes"},
		{"climbing out of the key prefix", "GET /photos/archive/..", "localhost", 400, "InvalidURI", "old photos/.."},
		{"host of nobody", "GET /a", "other.internal", 421, "MisdirectedRequest", "other.internal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := several(t)
			rep := r.exchange(t, fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\n\r\n", tt.request, tt.host))
			doc := r.refused(t, rep, tt.status, tt.code)
			if !strings.Contains(doc.Message, tt.says) {
				t.Errorf("%q does not say %q", doc.Message, tt.says)
			}
		})
	}
}

func TestRoutes_Overlap(t *testing.T) {
	r := proxy.Route{Bucket: bucket, Region: region, Credentials: newCredentials(1)}
	named := func(name, prefix string, hosts ...string) proxy.Route {
		r := r
		r.Name, r.PathPrefix, r.Hosts = name, prefix, hosts
		return r
	}
	at := func(name, prefix, bucket string) proxy.Route {
		r := named(name, prefix)
		r.Bucket, r.Endpoint = bucket, "https://cos.internal"
		return r
	}
	tests := []struct {
		name   string
		routes []proxy.Route
		clash  bool
	}{
		{"two buckets at one endpoint", []proxy.Route{at("a", "/x/", "one-1250000000"), at("b", "/y/", "two-1250000000")}, true},
		{"same prefix", []proxy.Route{named("a", "/x/"), named("b", "/x/")}, true},
		{"both without", []proxy.Route{named("a", ""), named("b", "/")}, true},
		{"same host", []proxy.Route{named("a", "", "h"), named("b", "", "g", "H")}, true},
		{"other prefix", []proxy.Route{named("a", "/x/"), named("b", "/x/y/")}, false},
		{"other host", []proxy.Route{named("a", "", "h"), named("b", "", "g")}, false},
		{"a host and the rest", []proxy.Route{named("a", "", "h"), named("b", "")}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := proxy.New(proxy.Options{Routes: tt.routes})
			if (err != nil) != tt.clash {
				t.Errorf("got %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), "a and b")) {
				t.Errorf("the error does not name both routes: %v", err)
			}
		})
	}
}

// A loopback endpoint has the same host as the proxy itself.
func TestRoutes_LoopbackEndpoint(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) {
		o.Routes[0].Endpoint, o.Routes[0].PathPrefix, o.Routes[0].ObjectPrefix = "http://localhost:9000", "/photos/", "2026/"
	}})
	if rep := r.get(t, "/photos/a.jpg"); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if a := r.upstream.only(t); a.target() != "/2026/a.jpg" || a.wire().Get("Host") != "localhost:9000" {
		t.Errorf("arrived as\n%s", a.head)
	}
}
