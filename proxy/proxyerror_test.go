package proxy_test

import (
	"strings"
	"testing"

	"cosproxy/proxy"
)

// A message with an apostrophe and unusual bytes arrives unchanged.
func TestProxyError_XML(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	rep := r.get(t, "/it's%00%FF&%3Ca%3E")
	if strings.Contains(rep.body, "&#") || !strings.Contains(rep.body, "it's") {
		t.Errorf("the body is %s", rep.body)
	}
	if doc := rep.cosError(t); !strings.Contains(doc.Message, `it's\x00\xff&<a>`) {
		t.Errorf("the message is %q", doc.Message)
	}
}

// A page of an allowed origin can read a proxy error.
func TestProxyError_CORS(t *testing.T) {
	for _, tt := range []struct{ name, headers, allowed, vary string }{
		{"allowed", "Origin: https://app.example\r\n", "https://app.example", "Origin"},
		{"spelled differently", "Origin: HTTPS://App.example:443\r\n", "HTTPS://App.example:443", "Origin"},
		{"another site", "Origin: https://evil.example\r\n", "", "Origin"},
		{"two origins", "Origin: https://app.example\r\nOrigin: https://app.example\r\n", "", "Origin"},
		{"only in Referer", "Referer: https://app.example/\r\n", "", "Origin"},
		{"no browser", "", "", "Origin"},
	} {
		for _, line := range []string{"GET /secret", "PUT /secret", "HEAD /secret", "OPTIONS /secret"} {
			t.Run(tt.name+", "+line, func(t *testing.T) {
				r := start(t, setup{options: func(o *proxy.Options) {
					o.AllowedOrigins, o.Routes[0].AllowPrefixes = []string{"https://app.example"}, []string{"dir/*"}
				}})
				rep := r.exchange(t, line+" HTTP/1.1\r\n"+tt.headers+"Content-Length: 0\r\n\r\n")
				if rep.status != 403 || rep.header.Get("Access-Control-Allow-Origin") != tt.allowed || rep.header.Get("Vary") != tt.vary {
					t.Errorf("got\n%s", rep.head)
				}
			})
		}
	}
}

func TestProxyError_NoCORSWithoutOrigins(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	rep := r.exchange(t, "GET /secret HTTP/1.1\r\nOrigin: http://localhost\r\n\r\n")
	if rep.status != 403 || rep.header["Access-Control-Allow-Origin"] != nil || rep.header["Vary"] != nil {
		t.Errorf("got\n%s", rep.head)
	}
}
