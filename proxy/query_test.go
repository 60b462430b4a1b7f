package proxy_test

import (
	"net/http"
	"strings"
	"testing"
)

// COS receives this query; if it equals the client's, it is the same string.
var queryTests = []struct {
	name, raw, wire string
	pairs           [][2]string
}{
	{"none", "", "", nil},
	{"valueless", "acl", "acl", [][2]string{{"acl", ""}}},
	{"empty value", "acl=", "acl=", [][2]string{{"acl", ""}}},
	{"order kept", "z=1&a=2&m", "z=1&a=2&m", [][2]string{{"z", "1"}, {"a", "2"}, {"m", ""}}},
	{"repeated", "a=2&a=1&a", "a=2&a=1&a", [][2]string{{"a", "2"}, {"a", "1"}, {"a", ""}}},
	{"names that differ in case", "A=1&a=2", "A=1&a=2", [][2]string{{"A", "1"}, {"a", "2"}}},
	{"second = is data", "a=b=c", "a=b=c", [][2]string{{"a", "b=c"}}},
	{"question mark is data", "a=?", "a=?", [][2]string{{"a", "?"}}},
	{"plus is a space", "prefix=a+b", "prefix=a%20b", [][2]string{{"prefix", "a b"}}},
	{"plus in a name", "a+b=c", "a%20b=c", [][2]string{{"a b", "c"}}},
	{"encoded plus", "prefix=a%2Bb", "prefix=a%2Bb", [][2]string{{"prefix", "a+b"}}},
	{"encoded space", "prefix=a%20b", "prefix=a%20b", [][2]string{{"prefix", "a b"}}},
	{"semicolon is data", "a=1;b=2&c", "a=1%3Bb=2&c", [][2]string{{"a", "1;b=2"}, {"c", ""}}},
	{"hash is data", "a=1#2&b", "a=1%232&b", [][2]string{{"a", "1#2"}, {"b", ""}}},
	{"unicode", "prefix=目", "prefix=%E7%9B%AE", [][2]string{{"prefix", "目"}}},
	{"lower-case escape", "delimiter=%2f", "delimiter=%2f", [][2]string{{"delimiter", "/"}}},
	{"escaped separators", "a=%26%3D%3B", "a=%26%3D%3B", [][2]string{{"a", "&=;"}}},
	{"escaped name", "%61cl", "%61cl", [][2]string{{"acl", ""}}},
	{"not UTF-8", "a=%FF", "a=%FF", [][2]string{{"a", "\xff"}}},
	{"empty pairs", "&a&&b=1&", "a&b=1", [][2]string{{"a", ""}, {"b", "1"}}},
	{"only separators", "&&&", "", nil},
	{
		"a client's signature", "x=1&q-sign-algorithm=sha1&q-ak=AKID&q-sign-time=1%3B2&q-key-time=1%3B2&q-header-list=host" +
			"&q-url-param-list=&q-signature=0&x-cos-security-token=t&x-ci-security-token=t&y",
		"x=1&y",
		[][2]string{{"x", "1"}, {"y", ""}},
	},
	{"a client's signature, disguised", "Q-AK=1&%71-ak=2&q%2Dsignature&a", "a", [][2]string{{"a", ""}}},
	{"nothing but a signature", "q-ak=1", "", nil},
	{"an old SDK's signature", "a&sign=q-sign-algorithm%3Dsha1%26q-ak%3D1", "a", [][2]string{{"a", ""}}},
	{"names that only begin alike", "q-akx=1&q-=2", "q-akx=1&q-=2", [][2]string{{"q-akx", "1"}, {"q-", "2"}}},
}

func TestQuery_OnTheWire(t *testing.T) {
	r := start(t, setup{})
	for i, tt := range queryTests {
		t.Run(tt.name, func(t *testing.T) {
			rep := r.get(t, "/key?"+tt.raw)
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			_, got, _ := strings.Cut(r.upstream.seen()[i].target(), "?")
			if got != tt.wire {
				t.Errorf("%q arrived as %q, want %q", tt.raw, got, tt.wire)
			}
		})
	}
}

func TestQuery_Invalid(t *testing.T) {
	r := start(t, setup{})
	for _, raw := range []string{"a=%", "a=%4", "a=%zz", "%", "a&b=%G0&c", "a=%%", "q-ak=%zz"} {
		t.Run(raw, func(t *testing.T) {
			doc := r.refused(t, r.get(t, "/key?"+raw), http.StatusBadRequest, "InvalidURI")
			if !strings.Contains(doc.Message, "%25") {
				t.Errorf("the message does not say what to write instead: %s", doc.Message)
			}
		})
	}
}
