package credcache

import (
	"slices"
	"testing"
)

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		outer, p string
		want     bool
	}{
		{"*", "a", true}, {"*", "a/*", true},
		{"a/*", "a/b", true}, {"a/*", "a/b/*", true}, {"a/*", "a/", true},
		{"a/*", "a", false}, {"a/*", "ab/*", false}, {"a/b*", "a/*", false},
		{"a", "a/b", false}, {"a", "a", false}, // a single object key covers nothing else
	} {
		if got := covers(tt.outer, tt.p); got != tt.want {
			t.Errorf("covers(%q, %q) = %v, want %v", tt.outer, tt.p, got, tt.want)
		}
	}
}

func TestScope_Canonical(t *testing.T) {
	for _, tt := range []struct {
		prefixes, actions         []string
		wantPrefixes, wantActions []string
	}{
		{[]string{"b/*", "a/*", "b/*"}, []string{"list"}, []string{"a/*", "b/*"}, []string{"name/cos:GetBucket", "name/cos:HeadBucket"}},
		{[]string{"a/*", "a/b/*", "a/c", "ab"}, []string{"delete", "name/cos:DeleteObject"},
			[]string{"a/*", "ab"}, []string{"name/cos:DeleteMultipleObjects", "name/cos:DeleteObject"}},
		{[]string{"a", "*"}, []string{"read", "*"}, []string{"*"}, []string{"name/cos:*"}},
	} {
		got := Scope{AllowPrefixes: tt.prefixes, AllowActions: tt.actions}.canonical()
		if !slices.Equal(got.AllowPrefixes, tt.wantPrefixes) || !slices.Equal(got.AllowActions, tt.wantActions) {
			t.Errorf("%q of %q: got %q of %q", tt.actions, tt.prefixes, got.AllowActions, got.AllowPrefixes)
		}
	}
}
