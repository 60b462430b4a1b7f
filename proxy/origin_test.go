package proxy_test

import (
	"net/http"
	"testing"

	"cosproxy/proxy"
)

func TestOrigin_CrossSite(t *testing.T) {
	tests := []struct {
		name, headers string
		passes        bool
	}{
		{"no browser", "", true},
		{"typed into the address bar", "Sec-Fetch-Site: none\r\n", true},
		{"own page", "Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n", true},
		{"own page, old browser", "Origin: http://localhost\r\n", true},
		{"own page, default port", "Origin: HTTP://LOCALHOST:80\r\n", true},
		{"other site", "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n", false},
		{"other site, old browser", "Origin: https://evil.example\r\n", false},
		{"other site, picture", "Sec-Fetch-Site: cross-site\r\n", false},
		{"other site, picture with Referer", "Sec-Fetch-Site: cross-site\r\nReferer: https://evil.example/page\r\n", false},
		{"other port of localhost", "Sec-Fetch-Site: same-site\r\nOrigin: http://localhost:8080\r\n", false},
		{"other port of localhost, picture", "Sec-Fetch-Site: same-site\r\n", false},
		{"other port, old browser", "Origin: http://localhost:8080\r\n", false},
		{"file or sandbox", "Origin: null\r\n", false},
		{"two origins", "Origin: http://localhost\r\nOrigin: https://evil.example\r\n", false},
		{"listed and another", "Origin: https://app.example\r\nOrigin: https://evil.example\r\n", false},
		{"listed", "Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example\r\n", true},
		{"listed, spelled differently", "Origin: HTTPS://App.Example:443\r\n", true},
		{"listed, picture", "Sec-Fetch-Site: cross-site\r\nReferer: https://app.example/page\r\n", true},
		{"listed, other scheme", "Origin: http://app.example\r\n", false},
		{"listed, other port", "Origin: https://app.example:8443\r\n", false},
		{"longer name", "Origin: https://app.example.evil.example\r\n", false},
		{"site unknown", "Sec-Fetch-Site: elsewhere\r\n", false},
		{"own page, by another's Origin", "Sec-Fetch-Site: same-origin\r\nOrigin: https://evil.example\r\n", false},
		{"two different values", "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n", false},
		{"own name on TLS", "Origin: https://localhost\r\n", false},
		{"listed in Referer, another in Origin", "Origin: https://evil.example\r\nReferer: https://app.example/\r\n", false},
		{"a program with a Referer", "Referer: https://evil.example/\r\n", true},
	}
	for _, tt := range tests {
		for _, line := range []string{"GET /key", "PUT /key", "OPTIONS /key", "GET http://localhost/key"} {
			t.Run(tt.name+", "+line, func(t *testing.T) {
				r := start(t, setup{options: func(o *proxy.Options) { o.AllowedOrigins = []string{"https://app.example"} }})
				length := ""
				if line == "PUT /key" {
					length = "Content-Length: 0\r\n"
				}
				rep := r.exchange(t, line+" HTTP/1.1\r\n"+tt.headers+length+"\r\n")
				if !tt.passes {
					r.refused(t, rep, http.StatusForbidden, "AccessDenied")
				} else if rep.status != http.StatusOK {
					t.Errorf("status %d\n%s", rep.status, rep.body)
				}
			})
		}
	}
}

// For a browser that uses the sidecar as HTTP proxy, its own origin is that of the
// target.
func TestOrigin_AbsoluteTarget(t *testing.T) {
	for _, tt := range []struct {
		target, origin string
		status         int
	}{
		{"http://" + cosHost + "/key", "http://" + cosHost, 200},
		{"https://" + cosHost + "/key", "https://" + cosHost, 200},
		{"https://" + cosHost + "/key", "http://" + cosHost, 403},
		{"http://" + cosHost + "/key", "http://localhost", 403},
	} {
		r := start(t, setup{})
		if rep := r.exchange(t, "GET "+tt.target+" HTTP/1.1\r\nOrigin: "+tt.origin+"\r\n\r\n"); rep.status != tt.status {
			t.Errorf("%s for %s: %d, want %d", tt.target, tt.origin, rep.status, tt.status)
		}
	}
}
