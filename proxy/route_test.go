package proxy

import (
	"testing"

	"cosproxy/proxy/internal/cosreq"
)

func TestRoute_AllowsKey(t *testing.T) {
	tests := []struct {
		prefix, key string
		want        bool
	}{
		{"*", "", true},
		{"*", "../a", true},
		{"dir/*", "dir/a", true},
		{"dir/*", "dir/", true},
		{"dir/*", "dir", false},
		{"dir/*", "dirk", false},
		{"dir/*", "dir/a.txt", true},
		{"dir/*", "dir/..a", true},
		{"dir/*", "dir/./a", true},
		{"dir/*", "dir/../a", false},
		{"dir/*", "dir/../dir/a", true},
		{"dir/*", `dir\..\a`, false},
		{"dir/*", `dir/x\..\..\a`, false},
		{"dir/*", "./dir/a", false}, // not allowed as it is
		{"a.txt", "a.txt", true},
		{"a.txt", "a.txt2", false},
	}
	for _, tt := range tests {
		rt := &route{Route: Route{AllowPrefixes: []string{tt.prefix}}}
		if got := rt.allowsKey(tt.key); got != tt.want {
			t.Errorf("%s, key %q: allowed %v", tt.prefix, tt.key, got)
		}
	}
}

func TestRoute_AllowsListing(t *testing.T) {
	for query, want := range map[string]bool{
		"prefix=dir/":               true,
		"prefix=dir%2Fa":            true,
		"prefix=dir":                false,
		"prefix=":                   false,
		"":                          false,
		"prefix=dir/&prefix=other/": false,
		"prefix=dir/&prefix=dir/a":  true,
		"Prefix=dir/":               false,
	} {
		q, err := cosreq.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		rt := &route{Route: Route{AllowPrefixes: []string{"dir/*"}}}
		if got := rt.allowsListing(q); got != want {
			t.Errorf("%q: allowed %v", query, got)
		}
	}
}

func TestRoute_MayListBuckets(t *testing.T) {
	tests := []struct {
		actions, prefixes []string
		want              bool
	}{
		{[]string{cosreq.GetService}, []string{"dir/*"}, true},
		{[]string{"name/cos:*"}, []string{"*"}, true},
		{[]string{"name/cos:*"}, []string{"dir/*"}, false},
		{[]string{"name/cos:GetObject"}, []string{"*"}, false},
		{nil, nil, false},
	}
	for _, tt := range tests {
		rt := &route{Route: Route{AllowActions: tt.actions, AllowPrefixes: tt.prefixes}}
		if got := rt.mayListBuckets(); got != tt.want {
			t.Errorf("%q on %q: %v", tt.actions, tt.prefixes, got)
		}
	}
}

func TestReadsAsBucket(t *testing.T) {
	for key, want := range map[string]bool{
		"": true, "/": true, "//": true, ".": true, "..": true, "./": true, "a/..": true, "a/../": true, "../..": true,
		"a": false, ".a": false, "a/.": false, "a/../b": false, "...": false, "a//": false, " ": false,
	} {
		if got := readsAsBucket(key); got != want {
			t.Errorf("%q: %v", key, got)
		}
	}
}
