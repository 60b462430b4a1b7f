package cosemu_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func TestStrict_UnsignedFields(t *testing.T) {
	srv := start(t, cosemu.Options{StrictSignature: true})
	client := httpClient(t, srv)
	tests := []struct {
		name  string
		add   func(r *http.Request)
		param bool
	}{
		{name: "content-type", add: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		{name: "range", add: func(r *http.Request) { r.Header.Set("Range", "bytes=0-1") }},
		{name: "x-cos-*", add: func(r *http.Request) { r.Header.Set("x-cos-meta-a", "1") }},
		{name: "content-md5", add: func(r *http.Request) { r.Header.Set("Content-MD5", "mQ/fVh815F3k6TAUm8m0eg==") }},
		{name: "parameter", add: func(r *http.Request) { r.URL.RawQuery = "response-content-type=a" }, param: true},
		{name: "sub-resource", add: func(r *http.Request) { r.URL.RawQuery = "acl" }, param: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, longLived(srv), http.MethodGet, "/a", nil)
			tt.add(r)
			a := do(t, client, r)
			want := "Strict signature missing header that must be signed"
			if tt.param {
				want = "Strict signature missing param that must be signed"
			}
			if a.status != http.StatusForbidden || a.code() != "AccessDenied" || !strings.Contains(a.body, want) {
				t.Errorf("added after signing: %d\n%s", a.status, a.body)
			}
			r.Header.Del("Authorization")
			cos.AddAuthorizationHeader(srv.SecretID(), srv.SecretKey(), "", r, cos.NewAuthTime(time.Hour))
			if a := do(t, client, r); a.status != http.StatusNotFound {
				t.Errorf("signed: %d\n%s", a.status, a.body)
			}
		})
	}
}
