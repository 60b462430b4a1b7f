package cosreq_test

import (
	"strings"
	"testing"

	"cosproxy/proxy/internal/cosreq"
)

func TestProtected(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   string
	}{
		{"x-cos-acl", []string{"public-read"}, "ACL"},
		{"x-cos-acl", []string{"bucket-owner-full-control"}, "ACL"},
		{"x-cos-acl", []string{"Private"}, "ACL"},
		{"x-cos-acl", []string{" private"}, "ACL"},
		{"x-cos-acl", []string{"private, public-read"}, "ACL"},
		{"x-cos-acl", []string{`"private"`}, "ACL"},
		{"x-cos-acl", []string{""}, "ACL"},
		{"x-cos-acl", nil, "ACL"},
		{"x-cos-acl", []string{"private", "private"}, "ACL"},
		{"x-cos-acl", []string{"private"}, ""},
		{"x-cos-acl", []string{"default"}, ""},
		{"x-amz-acl", []string{"private"}, ""},
		{"x-amz-acl", []string{"public-read"}, "ACL"},
		{"x-cos-grant-read", []string{"x"}, "ACL"},
		{"x-cos-grant-full-control", []string{"x"}, "ACL"},
		{"x-cos-grant-everything", []string{"x"}, "ACL"},
		{"x-amz-grant-write-acp", []string{"x"}, "ACL"},
		{"x-cos-tagging", []string{"a=b"}, "Tagging"},
		{"x-cos-tagging", []string{""}, "Tagging"},
		{"x-amz-tagging", []string{"a=b"}, "Tagging"},
		{"x-cos-meta-acl", []string{"public-read"}, ""},
		{"x-cos-meta-grant-read", []string{"x"}, ""},
		{"x-cos-storage-class", []string{"STANDARD"}, ""},
		{"x-ci-acl", []string{"public-read"}, ""},
		{"acl", []string{"public-read"}, ""},
	}
	for _, tt := range tests {
		if got := cosreq.Protected(tt.name, tt.values...); got != tt.want {
			t.Errorf("%s: %q sets %q, want %q", tt.name, tt.values, got, tt.want)
		}
	}
}

func TestNamesKeys(t *testing.T) {
	for _, name := range []string{"x-cos-copy-source", "x-cos-rename-source", "x-cos-symlink-target", "pic-operations"} {
		if !cosreq.NamesKeys(name) || !cosreq.NamesKeys(strings.ToUpper(name)) {
			t.Errorf("%s names no keys", name)
		}
	}
	for _, name := range []string{"", "key", "x-cos-copy-source-range", "x-cos-rename", "xpic-operations", "x_cos_copy_source", "content-length-or-so"} {
		if cosreq.NamesKeys(name) {
			t.Errorf("%s names keys", name)
		}
	}
}

func TestMatchAny_CoverAny(t *testing.T) {
	tests := []struct {
		pattern, text   string
		matches, covers bool
	}{
		{"*", "", true, true},
		{"*", "a", true, true},
		{"", "", true, false},
		{"", "a", false, false},
		{"dir/*", "dir/k", true, true},
		{"dir/*", "dir/", true, true},
		{"dir/*", "dir", false, false},
		{"dir/*", "DIR/k", false, false},
		{"dir/*", "/dir/k", false, false},
		{"a.txt", "a.txt", true, false},
		{"a.txt", "a.txt2", false, false},
		{"a.txt", "a", false, false},
		{"a*b", "axb", false, false},
		{"a*b", "a*b", true, false},
		{"a**", "a*b", true, true},
		{"a**", "ab", false, false},
		{"name/cos:Get*", "name/cos:GetObject", true, true},
		{"name/cos:Get*", "name/cos:getObject", false, false},
	}
	for _, tt := range tests {
		for _, list := range [][]string{{tt.pattern}, {"none", tt.pattern}} {
			matches, covers := cosreq.MatchAny(list, tt.text), cosreq.CoverAny(list, tt.text)
			if matches != tt.matches || covers != tt.covers {
				t.Errorf("%q, %q: matches %v, covers %v", list, tt.text, matches, covers)
			}
		}
	}
	if cosreq.MatchAny(nil, "") || cosreq.CoverAny(nil, "") {
		t.Error("no pattern matches")
	}
}
