package cosemu_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func TestDownload_Range(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "o", "0123456789")
	put(t, c, "empty", "")
	tests := []struct {
		key, header string
		status      int
		body, rng   string
	}{
		{"o", "bytes=0-3", 206, "0123", "bytes 0-3/10"},
		{"o", "bytes=8-99", 206, "89", "bytes 8-9/10"},
		{"o", "bytes=7-", 206, "789", "bytes 7-9/10"},
		{"o", "bytes=-3", 206, "789", "bytes 7-9/10"},
		{"o", "bytes=-99", 206, "0123456789", "bytes 0-9/10"},
		{"o", "bytes=10-", 416, "InvalidRange", ""},
		{"o", "bytes=-0", 416, "InvalidRange", ""},
		{"o", "bytes=3-1", 200, "0123456789", ""},
		{"o", "bytes=0-1,3-4", 200, "0123456789", ""},
		{"o", "lines=1-2", 200, "0123456789", ""},
		{"o", "bytes=a-", 200, "0123456789", ""},
		{"empty", "bytes=0-", 416, "InvalidRange", ""},
	}
	client := httpClient(t, srv)
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.header, func(t *testing.T) {
			a := do(t, client, request(t, longLived(srv), http.MethodGet, "/"+tt.key, nil, "Range: "+tt.header))
			body := a.body
			if a.status == 416 {
				body = a.code()
			}
			if a.status != tt.status || body != tt.body || a.header.Get("Content-Range") != tt.rng {
				t.Errorf("got %d %q %q", a.status, body, a.header.Get("Content-Range"))
			}
		})
	}
}

func TestDownload_Preconditions(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "o", "x")
	h := headOf(t, c, "o")
	etag, modified := h.Get("ETag"), h.Get("Last-Modified")
	when, err := http.ParseTime(modified)
	if err != nil {
		t.Fatal(err)
	}
	earlier := when.Add(-time.Hour).Format(http.TimeFormat)
	tests := []struct {
		fields []string
		status int
	}{
		{[]string{"If-Match: " + etag}, 200},
		{[]string{`If-Match: "other"`}, 412},
		{[]string{"If-Match: *"}, 200},
		{[]string{"If-None-Match: " + etag}, 304},
		{[]string{`If-None-Match: "x", ` + etag}, 304},
		{[]string{`If-None-Match: "x"`}, 200},
		{[]string{"If-Modified-Since: " + modified}, 304},
		{[]string{"If-Modified-Since: " + earlier}, 200},
		{[]string{"If-Unmodified-Since: " + modified}, 200},
		{[]string{"If-Unmodified-Since: " + earlier}, 412},
		{[]string{"If-Match: " + etag, "If-Unmodified-Since: " + earlier}, 200},
		{[]string{`If-None-Match: "x"`, "If-Modified-Since: " + modified}, 200},
	}
	client := httpClient(t, srv)
	for _, tt := range tests {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := do(t, client, request(t, longLived(srv), method, "/o", nil, tt.fields...))
			if a.status != tt.status {
				t.Errorf("%s %v: %d, want %d", method, tt.fields, a.status, tt.status)
			}
			if a.status == 304 && (a.body != "" || a.header.Get("ETag") != etag) {
				t.Errorf("%s %v: 304 with body %q, ETag %q", method, tt.fields, a.body, a.header.Get("ETag"))
			}
		}
	}
}

func TestDownload_ResponseOverrides(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "o", "x")
	_, resp := get(t, c, "o", &cos.ObjectGetOptions{
		ResponseContentType: "text/y; q=a b", ResponseContentDisposition: `attachment; filename="a b.txt"`,
		ResponseCacheControl: "max-age=600", ResponseExpires: "Thu, 16 May 2029 06:55:53 GMT",
	})
	for name, want := range map[string]string{
		"Content-Type": "text/y; q=a b", "Content-Disposition": `attachment; filename="a b.txt"`,
		"Cache-Control": "max-age=600", "Expires": "Thu, 16 May 2029 06:55:53 GMT",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestDownload_PresignedURL(t *testing.T) {
	srv := start(t, cosemu.Options{})
	creds := issue(t, srv, policyOf([]string{"name/cos:GetObject"}, []string{"*"}))
	put(t, sdk(t, srv, bucket1, longLived(srv)), "dir/a b+c", "signed")
	client := httpClient(t, srv)
	presign := func(method string) *http.Request {
		u, err := sdk(t, srv, bucket1, creds).Object.GetPresignedURL2(t.Context(), method, "dir/a b+c", time.Hour, &cos.PresignedURLOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(method, u.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if a := do(t, client, presign(http.MethodGet)); a.status != http.StatusOK || a.body != "signed" {
		t.Errorf("%d\n%s", a.status, a.body)
	}
	changed := presign(http.MethodGet)
	changed.URL.RawQuery += "&response-content-type=x"
	if a := do(t, client, changed); a.status != http.StatusOK {
		t.Errorf("a parameter that is not in the list: %d\n%s", a.status, a.body)
	}
	changed.URL.RawQuery = strings.Replace(changed.URL.RawQuery, "q-signature=", "q-signature=0", 1)
	if a := do(t, client, changed); a.code() != "SignatureDoesNotMatch" {
		t.Errorf("%d\n%s", a.status, a.body)
	}
	changed.Method = http.MethodDelete
	if a := do(t, client, changed); a.code() != "SignatureDoesNotMatch" {
		t.Errorf("%d\n%s", a.status, a.body)
	}
}
