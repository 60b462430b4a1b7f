package proxy_test

import (
	"net/http"
	"testing"

	"cosproxy/proxy"
)

// A preflight has the URL of the request that follows, and only the object key matters
// for the CORS rules.
func TestPreflight_ParametersIgnored(t *testing.T) {
	const preflight = " HTTP/1.1\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n"
	actions := []string{"name/cos:GetObject", "name/cos:OptionsObject"}
	r := start(t, setup{options: func(o *proxy.Options) {
		o.AllowedOrigins = []string{"https://app.example"}
		o.Routes[0].AllowActions, o.Routes[0].AllowPrefixes = actions, []string{"dir/*"}
	}})
	for _, target := range []string{
		"/dir/a", "/dir/a?_=1", "/dir/a?imageMogr2/thumbnail/50x", "/dir/a?uploads", "/dir/a?uploadId=x&partNumber=1", "/dir/a?acl",
		"/?delete", "/?prefix=a&_=1",
	} {
		if rep := r.exchange(t, "OPTIONS "+target+preflight); rep.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", target, rep.status, rep.body)
		}
	}
	for _, a := range r.upstream.seen() {
		if a.URL.RawQuery != "" {
			t.Errorf("%s left for COS", a.target())
		}
	}
	arrived := len(r.upstream.seen())
	if rep := r.exchange(t, "OPTIONS /elsewhere?_=1"+preflight); rep.status != http.StatusForbidden {
		t.Errorf("outside the prefixes: status %d", rep.status)
	}
	if rep := r.exchange(t, "GET /dir/a?acl HTTP/1.1\r\nOrigin: https://app.example\r\n\r\n"); rep.status != http.StatusForbidden {
		t.Errorf("the request that follows: status %d", rep.status)
	}
	if n := len(r.upstream.seen()); n != arrived {
		t.Errorf("%d refused requests reached COS", n-arrived)
	}
	strict := start(t, setup{options: func(o *proxy.Options) {
		o.AllowedOrigins, o.Routes[0].AllowActions = []string{"https://app.example"}, actions[:1]
	}})
	strict.refused(t, strict.exchange(t, "OPTIONS /dir/a?_=1"+preflight), http.StatusForbidden, "AccessDenied")
}
