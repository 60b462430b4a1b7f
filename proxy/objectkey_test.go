package proxy_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The bytes of an object key are the same on both sides, for any encoding by the
// client.
func TestObjectKey_Unchanged(t *testing.T) {
	tests := []struct{ name, target, key string }{
		{"plain", "/dir/file.txt", "dir/file.txt"},
		{"double slash", "/dir//file", "dir//file"},
		{"triple slash", "/a///b", "a///b"},
		{"leading slash", "//lead", "/lead"},
		{"leading slash, encoded", "/%2Flead", "/lead"},
		{"looks like an authority", "//host.example/x", "/host.example/x"},
		{"trailing slash", "/folder/", "folder/"},
		{"trailing slashes", "/folder//", "folder//"},
		{"dot inside", "/a/./b", "a/./b"},
		{"dots inside", "/a/../b", "a/../b"},
		{"dots at the end", "/a/b/..", "a/b/.."},
		{"dots at the start", "/../b", "../b"},
		{"dots, encoded", "/a/%2E%2E/b", "a/../b"},
		{"hidden file", "/.profile", ".profile"},
		{"slash, encoded", "/a%2Fb", "a/b"},
		{"slash, lower-case escape", "/a%2fb", "a/b"},
		{"literal %2F", "/a%252Fb", "a%2Fb"},
		{"literal %", "/100%25", "100%"},
		{"plus is itself", "/a+b", "a+b"},
		{"plus, encoded", "/a%2Bb", "a+b"},
		{"space", "/a%20b", "a b"},
		{"caret, bar, quote", "/a^|\"b", `a^|"b`},
		{"caret, bar, quote, encoded", "/a%5E%7C%22b", `a^|"b`},
		{"braces and angles", "/{a}<b>\\`c", "{a}<b>\\`c"},
		{"sub-delimiters", "/!$&'()*,;=:@", "!$&'()*,;=:@"},
		{"semicolon, encoded", "/a%3Bb", "a;b"},
		{"question mark", "/a%3Fb", "a?b"},
		{"hash", "/a%23b", "a#b"},
		{"raw hash", "/a#b", "a#b"},
		{"lower-case escapes", "/%e4%bd%a0", "你"},
		{"unicode, encoded", "/%E7%9B%AE%E5%BD%95/%E6%96%87%20%E4%BB%B6", "目录/文 件"},
		{"unicode, raw", "/目录/文件", "目录/文件"},
		{"emoji", "/%F0%9F%8C%A9", "🌩"},
		{"not UTF-8", "/%FF%FE", "\xff\xfe"},
		{"control bytes", "/a%00%0A%7Fb", "a\x00\n\x7fb"},
		{"850 bytes", "/" + strings.Repeat("k", 850), strings.Repeat("k", 850)},
		{"850 bytes of unicode", "/" + strings.Repeat("%E4%BD%A0", 283) + "k", strings.Repeat("你", 283) + "k"},
		{"a URL as key", "/http://localhost/x", "http://localhost/x"},
	}
	r := start(t, setup{})
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		for _, tt := range tests {
			t.Run(method+" "+tt.name, func(t *testing.T) {
				before := len(r.upstream.seen())
				rep := r.exchange(t, method+" "+tt.target+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
				if rep.status != http.StatusOK {
					t.Fatalf("status %d: %s", rep.status, rep.body)
				}
				path, _, _ := strings.Cut(r.upstream.seen()[before].target(), "?")
				got, err := url.PathUnescape(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != "/"+tt.key {
					t.Errorf("the upstream reads %q in %q, want %q", got, path, "/"+tt.key)
				}
			})
		}
	}
}

// Valid escapes are not changed.
func TestObjectKey_PathEncodingUnchanged(t *testing.T) {
	r := start(t, setup{})
	for i, target := range []string{"/a%2Fb", "/a%2fb", "/%7Euser", "/~user", "/a//b", "//a", "/%41"} {
		r.get(t, target)
		if got := r.upstream.seen()[i].target(); got != target {
			t.Errorf("%s became %s", target, got)
		}
	}
}

// COS would read these keys as the bucket: a download would become a listing, and the
// DELETE of an object a DELETE of the bucket.
func TestObjectKey_ReadsAsBucketRejected(t *testing.T) {
	r := start(t, setup{})
	for _, target := range []string{
		"//", "///", "/.", "/./", "/..", "/../", "/a/..", "/a/../", "/a/b/../..", "/%2F", "/%2f%2F", "/%2E", "/%2e%2e", "/x/%2E%2E/", "//..//.",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
			t.Run(method+" "+target, func(t *testing.T) {
				rep := r.exchange(t, method+" "+target+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
				if method != http.MethodHead {
					r.refused(t, rep, http.StatusBadRequest, "InvalidURI")
				} else if rep.status != http.StatusBadRequest || len(r.upstream.seen()) != 0 {
					t.Errorf("status %d", rep.status)
				}
			})
		}
	}
}

// Only / means the bucket, also in an absolute target.
func TestTarget_Bucket(t *testing.T) {
	r := start(t, setup{})
	for i, target := range []string{"/", "/?prefix=a", "http://localhost/", "http://" + cosHost + "/"} {
		if rep := r.get(t, target); rep.status != http.StatusOK {
			t.Fatalf("%s: status %d %s", target, rep.status, rep.body)
		}
		if got := r.upstream.seen()[i].URL.Path; got != "/" {
			t.Errorf("%s arrived as %q", target, got)
		}
	}
}

// Clients that use the sidecar as HTTP proxy send absolute targets. Their path is an
// object key as usual.
func TestTarget_Absolute(t *testing.T) {
	r := start(t, setup{})
	rep := r.exchange(t, "GET http://"+cosHost+"/a//b HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if a := r.upstream.only(t); a.target() != "/a//b" || a.Host != cosHost {
		t.Errorf("arrived as %s at %s", a.target(), a.Host)
	}
}

func TestTarget_Invalid(t *testing.T) {
	r := start(t, setup{})
	r.refused(t, r.exchange(t, "OPTIONS * HTTP/1.1\r\n\r\n"), http.StatusBadRequest, "InvalidURI")
}
