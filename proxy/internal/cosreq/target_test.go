package cosreq_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// Object keys are bytes: paths are not cleaned, and only bytes that must not be raw are
// escaped.
var targetTests = []struct {
	name, target string
	want         cosreq.Target
}{
	{"bucket", "/", cosreq.Target{Path: "/", RawPath: "/"}},
	{"plain", "/dir/file.txt", cosreq.Target{Path: "/dir/file.txt", RawPath: "/dir/file.txt"}},
	{"query", "/k?acl&a=?", cosreq.Target{Path: "/k", RawPath: "/k", RawQuery: "acl&a=?"}},
	{"empty query", "/k?", cosreq.Target{Path: "/k", RawPath: "/k"}},
	{"leading slash", "//a/b", cosreq.Target{Path: "//a/b", RawPath: "//a/b"}},
	{"leading slash, encoded", "/%2Flead", cosreq.Target{Path: "//lead", RawPath: "/%2Flead"}},
	{"looks like an authority", "//host.example/x", cosreq.Target{Path: "//host.example/x", RawPath: "//host.example/x"}},
	{"triple slash", "///b", cosreq.Target{Path: "///b", RawPath: "///b"}},
	{"trailing slashes", "/folder//", cosreq.Target{Path: "/folder//", RawPath: "/folder//"}},
	{"dots", "/a/./../b/..", cosreq.Target{Path: "/a/./../b/..", RawPath: "/a/./../b/.."}},
	{"dots, encoded", "/a/%2E%2e/b", cosreq.Target{Path: "/a/../b", RawPath: "/a/%2E%2e/b"}},
	{"slash, encoded", "/a%2Fb%2fc", cosreq.Target{Path: "/a/b/c", RawPath: "/a%2Fb%2fc"}},
	{"literal %2F", "/a%252Fb", cosreq.Target{Path: "/a%2Fb", RawPath: "/a%252Fb"}},
	{"needless escapes stay", "/%7Euser/%41", cosreq.Target{Path: "/~user/A", RawPath: "/%7Euser/%41"}},
	{"plus", "/a+b%2Bc%2bd", cosreq.Target{Path: "/a+b+c+d", RawPath: "/a%2Bb%2Bc%2bd"}},
	{"plus and a raw brace", "/a+b%2F{", cosreq.Target{Path: "/a+b/{", RawPath: "/a%2Bb%2F%7B"}},
	{"space", "/a%20b", cosreq.Target{Path: "/a b", RawPath: "/a%20b"}},
	{"caret, bar, quote", "/a^|\"b", cosreq.Target{Path: "/a^|\"b", RawPath: "/a%5E%7C%22b"}},
	{"braces and angles", "/{a}<b>\\`c", cosreq.Target{Path: "/{a}<b>\\`c", RawPath: "/%7Ba%7D%3Cb%3E%5C%60c"}},
	{"sub-delimiters", "/!$&'()*,;=:@[]", cosreq.Target{Path: "/!$&'()*,;=:@[]", RawPath: "/!$&'()*,;=:@[]"}},
	{"question mark", "/a%3Fb", cosreq.Target{Path: "/a?b", RawPath: "/a%3Fb"}},
	{"hash", "/a#b%23", cosreq.Target{Path: "/a#b#", RawPath: "/a%23b%23"}},
	{"unicode", "/目%e7%9b%ae", cosreq.Target{Path: "/目目", RawPath: "/%E7%9B%AE%e7%9b%ae"}},
	{"not UTF-8", "/\xff%FE", cosreq.Target{Path: "/\xff\xfe", RawPath: "/%FF%FE"}},
	{"control bytes", "/a%00%0A%7Fb", cosreq.Target{Path: "/a\x00\n\x7fb", RawPath: "/a%00%0A%7Fb"}},
	{"a URL as key", "/http://localhost/x", cosreq.Target{Path: "/http://localhost/x", RawPath: "/http://localhost/x"}},
	{"absolute", "http://h.example:80/a//b%2F+?q", cosreq.Target{Scheme: "http", Host: "h.example:80", Path: "/a//b/+", RawPath: "/a//b%2F%2B", RawQuery: "q"}},
	{"absolute, https", "HTTPS://H.example/", cosreq.Target{Scheme: "https", Host: "H.example", Path: "/", RawPath: "/"}},
	{"absolute without a path", "http://h", cosreq.Target{Scheme: "http", Host: "h", Path: "/", RawPath: "/"}},
	{"absolute without a path, query", "http://h?prefix=a/b@c", cosreq.Target{Scheme: "http", Host: "h", Path: "/", RawPath: "/", RawQuery: "prefix=a/b@c"}},
	{"absolute, leading slash", "http://h//a", cosreq.Target{Scheme: "http", Host: "h", Path: "//a", RawPath: "//a"}},
	{"absolute, IPv6", "http://[::1]:4360/a", cosreq.Target{Scheme: "http", Host: "[::1]:4360", Path: "/a", RawPath: "/a"}},
	{"absolute, IPv6 without a port", "http://[::1]", cosreq.Target{Scheme: "http", Host: "[::1]", Path: "/", RawPath: "/"}},
	{"absolute, empty port", "http://h:/a", cosreq.Target{Scheme: "http", Host: "h:", Path: "/a", RawPath: "/a"}},
	{"absolute, userinfo", "http://good.example@h/a@b", cosreq.Target{Scheme: "http", Host: "h", Path: "/a@b", RawPath: "/a@b"}},
}

func TestParseTarget(t *testing.T) {
	for _, tt := range targetTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cosreq.ParseTarget(tt.target)
			if err != nil || got != tt.want {
				t.Errorf("%q is\n%+v (%v), want\n%+v", tt.target, got, err, tt.want)
			}
		})
	}
}

var badTargets = map[string]string{ // and what the message says
	"":                       "Send /<key>",
	"*":                      "Send /<key>",
	"key":                    "Send /<key>",
	"?a:b":                   "Send /<key>",
	"dir/a:b":                "Send /<key>",
	"evil.example:443":       "http://<host>/<key>",
	"user:pass@evil.example": "http://<host>/<key>",
	"ftp://localhost/a":      "http://<host>/<key>",
	"http:in/a":              "http://<host>/<key>",
	"http:/in/a":             "http://<host>/<key>",
	"http:///in/a":           "http://<host>/<key>",
	"http://":                "http://<host>/<key>",
	"http://?a":              "http://<host>/<key>",
	"http://user@/a":         "http://<host>/<key>",
	"http://:80/a":           "http://<host>/<key>",
	"http://h:8a/a":          "http://<host>/<key>",
	"http://h:80:80/a":       "http://<host>/<key>",
	"http://::1/a":           "http://<host>/<key>",
	"http://[::1/a":          "http://<host>/<key>",
	"http://[::1]x/a":        "http://<host>/<key>",
	"http://[]/a":            "http://<host>/<key>",
	"http://h]/a":            "http://<host>/<key>",
	"http://h%2Fx/a":         "http://<host>/<key>",
	"http://h\\x/a":          "http://<host>/<key>",
	"http://h#x/a":           "http://<host>/<key>",
	"http://目/a":             "http://<host>/<key>",
	"/%":                     "a literal % is %25, a blank %20",
	"/a%4":                   "a literal % is %25, a blank %20",
	"/a%zz":                  "a literal % is %25, a blank %20",
	"/a%4g?b":                "a literal % is %25, a blank %20",
	"/100%":                  "a literal % is %25, a blank %20",
	"http://h/%G0":           "a literal % is %25, a blank %20",
}

func TestParseTarget_Errors(t *testing.T) {
	for target, says := range badTargets {
		got, err := cosreq.ParseTarget(target)
		wantInvalidURI(t, target, err, says)
		if got != (cosreq.Target{}) {
			t.Errorf("%q: %+v with an error", target, got)
		}
	}
}

// wantInvalidURI checks that an error says what to do and does not contain a password.
func wantInvalidURI(t *testing.T, input string, err error, says string) {
	t.Helper()
	var e *coserr.Error
	if !errors.As(err, &e) || e.Status != 400 || e.Code != "InvalidURI" || !strings.Contains(e.Message, says) || strings.Contains(e.Message, "pass") {
		t.Errorf("%q: got %v, want InvalidURI with %q", input, err, says)
	}
}

func TestParseTarget_Allocations(t *testing.T) {
	for _, target := range []string{"/dir/file.txt?prefix=a%2Fb", "//a", "http://localhost:4360/dir/a?b", "http://localhost"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = cosreq.ParseTarget(target) }); n != 0 {
			t.Errorf("%q costs %v allocations", target, n)
		}
	}
}

func TestEscapePath(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "a/b.txt": "a/b.txt", "old photos/": "old%20photos/", "a+b/": "a%2Bb/", "100%/": "100%25/", "a%2F": "a%252F", "a?b#c": "a%3Fb%23c", "目": "%E7%9B%AE",
	} {
		if got := cosreq.EscapePath(key); got != want {
			t.Errorf("%q became %q, want %q", key, got, want)
		}
		if back, err := url.PathUnescape(cosreq.EscapePath(key)); err != nil || back != key {
			t.Errorf("%q is read as %q (%v)", key, back, err)
		}
	}
}

// FuzzTarget: RawPath decodes to Path and has no byte that must not be raw, and net/url
// agrees on every target that it accepts.
func FuzzTarget(f *testing.F) {
	for _, tt := range targetTests {
		f.Add(tt.target)
	}
	for target := range badTargets {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got, err := cosreq.ParseTarget(target)
		if err != nil {
			wantInvalidURI(t, "a fuzzed target", err, "")
			return
		}
		if back, err := url.PathUnescape(got.RawPath); err != nil || back != got.Path || !strings.HasPrefix(got.Path, "/") {
			t.Errorf("%q is the path %q, but goes out as %q: %q (%v)", target, got.Path, got.RawPath, back, err)
		}
		if strings.ContainsFunc(got.RawPath, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("+?#\"<>\\^`{|}", c) }) {
			t.Errorf("%q goes out as %q", target, got.RawPath)
		}
		again, err := cosreq.ParseTarget(got.RawPath)
		if err != nil || again.RawPath != got.RawPath || again.Path != got.Path {
			t.Errorf("%q is rewritten to %q, and that to %q (%v)", target, got.RawPath, again.RawPath, err)
		}
		compareTarget(t, target, got)
	})
}

func compareTarget(t *testing.T, target string, got cosreq.Target) {
	uri := target
	if got.Host == "" { // net/url would take two slashes for an authority
		uri = "http://h" + target
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return
	}
	path, host := u.Path, u.Host
	if path == "" {
		path = "/"
	}
	if got.Host == "" {
		host = ""
	} else if got.Scheme != u.Scheme {
		t.Errorf("%q has the scheme %q, in net/url %q", target, got.Scheme, u.Scheme)
	}
	if got.Path != path || got.RawQuery != u.RawQuery || got.Host != host {
		t.Errorf("%q is %+v, in net/url %q %q %q", target, got, host, path, u.RawQuery)
	}
}
