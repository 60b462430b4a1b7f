package signer_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	cos "github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/signer"
)

// FuzzEscape compares the escaping with net/url and the official SDK. The result must contain
// only unreserved characters, and both net/url and the signer must decode it to the input.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{
		"", "aZ09-_.~", " +%20", "!'()*", "/a//b/../c", "目录/文件 名", "\x00\x1f\x7f\x80\xff", "%zz%", "a=b&c;d#e?f", `"<>[\]^{|}` + "`",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		value, key := signer.EscapeValue(in), signer.EscapeKey(in)
		if want := strings.ReplaceAll(url.QueryEscape(in), "+", "%20"); value != want {
			t.Errorf("value %q became %q, want %q as in net/url", in, value, want)
		}
		if want := sdkEscape(in); value != want {
			t.Errorf("value %q became %q, want %q as in the SDK", in, value, want)
		}
		if want := strings.ToLower(value); key != want {
			t.Errorf("key %q became %q, want %q", in, key, want)
		}
		for _, c := range []byte(value) {
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%", rune(c)) {
				t.Errorf("value %q became %q, which has %q in it", in, value, c)
			}
		}
		if back, err := url.PathUnescape(value); err != nil || back != in {
			t.Errorf("value %q came back as %q (%v)", in, back, err)
		}
		for _, query := range []string{value + "=" + value, url.QueryEscape(in) + "=" + url.QueryEscape(in)} {
			if query == "=" {
				continue // a pair without a key, which tells nothing here
			}
			got, err := signer.Build(http.MethodGet, "/", query, nil, "key", "1;2")
			if err != nil || got.ParamList != key || got.HTTPString != "get\n/\n"+key+"="+value+"\n\n" {
				t.Errorf("query %q is signed as %q (%v)", query, got.HTTPString, err)
			}
		}
	})
}

// sdkEscape copies the SDK's unexported safeURLEncode: it also escapes the characters that
// encodeURIComponent of JavaScript does not.
func sdkEscape(s string) string {
	return strings.NewReplacer("!", "%21", "'", "%27", "(", "%28", ")", "%29", "*", "%2A").Replace(cos.EncodeURIComponent(s))
}
