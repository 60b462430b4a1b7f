package integration_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

// TestPrivilege_UploadOnly checks that requests outside the configuration are rejected
// before they leave.
func TestPrivilege_UploadOnly(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), append(sidecarEnv(emu), "COSPROXY_ALLOW_PREFIXES=uploads/*", "COSPROXY_ALLOW_ACTIONS=upload")...)
	if status, body := do(t, http.MethodPut, s.url+"/uploads/a", strings.NewReader("x")); status != http.StatusOK {
		t.Fatalf("an allowed upload: %d %s", status, body)
	}
	allowed := emu.Stats().COSRequests
	for _, c := range []struct{ method, target, setting string }{
		{http.MethodPut, "/elsewhere/a", "COSPROXY_ALLOW_PREFIXES"},
		{http.MethodGet, "/uploads/a", "COSPROXY_ALLOW_ACTIONS"},
		{http.MethodDelete, "/uploads/a", "COSPROXY_ALLOW_ACTIONS"},
		{http.MethodGet, "/", "COSPROXY_ALLOW_ACTIONS"},
	} {
		status, body := do(t, c.method, s.url+c.target, nil)
		if status != http.StatusForbidden || !strings.Contains(string(body), c.setting) {
			t.Errorf("%s %s: %d %s, want 403 with the setting %s", c.method, c.target, status, body, c.setting)
		}
	}
	if n := emu.Stats().COSRequests; n != allowed {
		t.Errorf("%d rejected requests reached COS", n-allowed)
	}
}

// TestBadInput_Errors sends invalid requests. Each gets an error in COS's XML form,
// and none reaches COS.
func TestBadInput_Errors(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	for name, c := range map[string]struct{ request, status, code string }{
		"unknown host":           {"GET /key HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421", "MisdirectedRequest"},
		"bad path escape":        {"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "400", "InvalidURI"},
		"bad query escape":       {"GET /key?a=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "400", "InvalidURI"},
		"large header":           {"GET /key HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", "431", "RequestHeaderFieldsTooLarge"},
		"two lengths":            {"PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "400", "InvalidRequest"},
		"unknown length":         {"POST /key?append&position=0 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n" + strings.Repeat("x", 64<<10+1) + "\r\n0\r\n\r\n", "411", "MissingContentLength"},
		"key that is the bucket": {"GET /a/.. HTTP/1.1\r\nHost: localhost\r\n\r\n", "400", "InvalidURI"},
		"connect":                {"CONNECT a:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", "405", "MethodNotAllowed"},
		"not http":               {"\x16\x03\x01\x02\x00\r\n\r\n", "400", "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c2.Close()
			_, _ = io.WriteString(c2, c.request)
			_ = c2.(*net.TCPConn).CloseWrite()
			response, _ := io.ReadAll(c2)
			if !strings.HasPrefix(string(response), "HTTP/1.1 "+c.status+" ") || !strings.Contains(string(response), "<Code>"+c.code+"</Code>") {
				t.Errorf("response %.600s\nwant %s %s", response, c.status, c.code)
			}
		})
	}
	if n := emu.Stats().COSRequests; n != 0 {
		t.Errorf("%d bad requests reached COS", n)
	}
}
