package credcache_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/credcache"
)

func TestContains(t *testing.T) {
	for _, tt := range []struct {
		outer, inner credcache.Scope
		want         bool
	}{
		{scope("uploads/*", "upload"), scope("uploads/*", "upload"), true},
		{scope("uploads/*", "upload"), scope("uploads/a/*", "upload"), true},
		{scope("uploads/*", "upload"), scope("uploads/x.txt", "name/cos:PutObject"), true},
		{scope("uploads/*", "upload"), scope("uploads/", "upload"), false}, // not a valid scope
		{scope("uploads/*", "upload"), scope("uploads*", "upload"), false},
		{scope("uploads/*", "upload"), scope("upload*", "upload"), false},
		{scope("uploads/*", "upload"), scope("uploads", "upload"), false},
		{scope("uploads/*", "upload"), scope("*", "upload"), false},
		{scope("uploads/*", "upload"), scope("uploads/a,secret", "upload"), false},
		{scope("uploads/*", "upload"), scope("Uploads/a", "upload"), false},
		{scope("uploads/*", "upload"), scope("uploads%2Fa", "upload"), false},
		{scope("uploads/*", "upload"), scope("/uploads/a", "upload"), false},
		{scope("uploads/*", "upload"), scope("uploads/*a", "upload"), false},
		{scope("uploads/*", "upload"), scope("uploads/**", "upload"), false},
		{scope("uploads/*", "upload"), scope("", "upload"), false},
		{scope("a%2F*", "read"), scope("a%2Fb", "read"), true},
		{scope("a%2F*", "read"), scope("a/b", "read"), false},
		{scope("a.txt", "read"), scope("a.txt", "read"), true},
		{scope("a.txt", "read"), scope("a.txt*", "read"), false},
		{scope("a.txt", "read"), scope("a.txt.old", "read"), false},
		{scope("a,b/*", "read"), scope("b/c,a,b/*", "read"), true},
		{scope("a,ab*", "read"), scope("a*", "read"), false},
		{scope("*", "read"), scope("a,b*,*", "read"), true},

		{scope("a/*", "read"), scope("a/*", "read,name/cos:GetObject"), true},
		{scope("a/*", "read"), scope("a/*", "read,list"), false},
		{scope("a/*", "read"), scope("a/*", "*"), false},
		{scope("a/*", "read"), scope("a/*", "name/cos:getobject"), false},
		{scope("a/*", "write"), scope("a/*", "upload"), true},
		{scope("a/*", "*"), scope("a/*", "write,read,acl,delete,name/cos:GetBucket"), true},
		{scope("a/*", "*"), scope("a/b", "*"), true},
		// "*" on a prefix covers no call on the bucket, as its policy shows.
		{scope("a/*", "*"), scope("a/*", "list"), false}, // HeadBucket
		{scope("a/*", "*"), scope("a/*", "name/cos:PutBucketACL"), false},
		{scope("a/*", "*"), scope("a/*", "name/cos:GetService"), false},
		{scope("*", "*"), scope("a/*", "list,name/cos:PutBucketACL,name/cos:GetService"), true},
		{scope("a/*", "read,name/cos:PutBucketACL"), scope("a/b", "name/cos:PutBucketACL"), true},
	} {
		if got := tt.outer.Contains(tt.inner); got != tt.want {
			t.Errorf("%s of %s contains %s of %s: %v", tt.outer.AllowActions, tt.outer.AllowPrefixes, tt.inner.AllowActions, tt.inner.AllowPrefixes, got)
		}
	}
}

func TestContains_BucketAndRegion(t *testing.T) {
	outer := scope("a/*", "read")
	for name, change := range map[string]func(*credcache.Scope){
		"bucket":         func(s *credcache.Scope) { s.Bucket = "otherbucket-1250000000" },
		"case of bucket": func(s *credcache.Scope) { s.Bucket = "Examplebucket-1250000000" },
		"region":         func(s *credcache.Scope) { s.Region = "ap-guangzhou" },
		"no prefixes":    func(s *credcache.Scope) { s.AllowPrefixes = nil },
		"no actions":     func(s *credcache.Scope) { s.AllowActions = nil },
	} {
		inner := scope("a/*", "read")
		change(&inner)
		if outer.Contains(inner) || inner.Contains(outer) {
			t.Errorf("%s: one scope contains the other", name)
		}
	}
	if (credcache.Scope{}).Contains(credcache.Scope{}) {
		t.Error("the zero Scope contains itself")
	}
}

// FuzzContains checks Contains by two rules that share no code with it: the object keys that
// the patterns match, and what the policies grant.
func FuzzContains(f *testing.F) {
	for _, seed := range [][4]string{
		{"uploads/*", "upload", "uploads/a/*", "name/cos:PutObject"}, {"a,b*", "read", "b*,a", "read"},
		{"a/*", "*", "a/b", "list"}, {"a/*", "*", "a/*", "name/cos:GetService"}, {"*", "*", "a*", "name/cos:PutBucketACL,list"},
		{"a%*", "list", "a%2F*", "list"}, {"a+*", "list,write", "a+b/*", "write"}, {"a/*", "acl,upload", "a/..*", "upload"},
		{"目*", "name/cos:PutBucket", "目录/*", "name/cos:PutBucket"}, {"a", "list", "a*", "list"}, {"a?*", "list", "a??*", "list"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, outerPrefixes, outerActions, innerPrefixes, innerActions string) {
		if len(outerPrefixes)+len(innerPrefixes) > 60 { // for speed; and a long policy omits a form of cos:prefix
			return
		}
		outer, inner := scope(outerPrefixes, outerActions), scope(innerPrefixes, innerActions)
		if outer.Validate() != nil || inner.Validate() != nil {
			if outer.Contains(inner) {
				t.Fatalf("an invalid scope: %v contains %v", outer, inner)
			}
			return
		}
		contains := outer.Contains(inner)
		keys := sampleKeys(outer.AllowPrefixes, inner.AllowPrefixes)
		outside := slices.IndexFunc(keys, func(key string) bool {
			return globAny(inner.AllowPrefixes, key) && !globAny(outer.AllowPrefixes, key)
		})
		if contains && outside >= 0 {
			t.Fatalf("%v contains %v, but not the key %q", outer, inner, keys[outside])
		}
		want, err := outer.Policy()
		if err != nil {
			t.Fatal(err)
		}
		got, err := inner.Policy()
		if err != nil {
			t.Fatal(err)
		}
		var exceeds *cosCall
		for _, c := range sampleCalls(keys, inner.AllowActions) {
			if exceeds == nil && c.allowed(got) && !c.allowed(want) {
				exceeds = &c
			}
		}
		switch {
		case contains && exceeds != nil:
			t.Fatalf("%v contains %v, but its policy does not allow %+v", outer, inner, *exceeds)
		case !contains && outside < 0 && outerActions == innerActions:
			t.Fatalf("%v does not contain %v, but no key is outside", outer, inner)
		}
	})
}

// sampleKeys returns object keys that distinguish the patterns: what precedes a final * of
// each, alone, with each byte that occurs in them, and with one that does not.
func sampleKeys(lists ...[]string) []string {
	patterns := slices.Concat(lists...)
	alphabet := []byte(strings.Join(patterns, ""))
	for c := byte('!'); c < 0x7f; c++ {
		if !slices.Contains(alphabet, c) {
			alphabet = append(alphabet, c)
			break
		}
	}
	slices.Sort(alphabet)
	alphabet = slices.Compact(alphabet)
	var keys []string
	for _, p := range patterns {
		stem := strings.TrimSuffix(p, "*")
		keys = append(keys, stem, p)
		for _, c := range alphabet {
			keys = append(keys, stem+string(c))
		}
	}
	return keys
}

// glob reports whether a pattern in which * stands for any text matches text.
func glob(pattern, text string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	text, matches := strings.CutPrefix(text, first)
	if !wild || !matches {
		return matches && text == ""
	}
	for i := range len(text) + 1 {
		if glob(rest, text[i:]) {
			return true
		}
	}
	return false
}

func globAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return glob(p, text) })
}

// cosCall is a request as COS checks it against a policy.
type cosCall struct {
	action, resource string
	conditions       map[string]string // values of the condition keys that the request has
}

// sampleCalls returns calls of every kind: on each object key, listings with each prefix in
// both encodings, calls on the bucket and on the account, all with and without a public ACL.
// They include the actions of words.
func sampleCalls(keys, words []string) []cosCall {
	const bucket = "qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/"
	var calls []cosCall
	add := func(action, resource string, conditions map[string]string) {
		public := map[string]string{"cos:x-cos-acl": "public-read"}
		for key, value := range conditions {
			public[key] = value
		}
		calls = append(calls, cosCall{"name/cos:" + action, resource, conditions}, cosCall{"name/cos:" + action, resource, public})
	}
	actions, _ := credcache.ExpandActions(slices.Concat(words, []string{"read", "upload", "acl", "list", "name/cos:PutBucket", "name/cos:PutBucketACL"}))
	actions = append(actions, "name/cos:Undocumented")
	for i := range actions {
		actions[i] = strings.TrimPrefix(actions[i], "name/cos:")
		add(actions[i], bucket, nil)
	}
	for _, key := range keys {
		for _, action := range actions {
			add(action, bucket+key, nil)
		}
		for _, action := range strings.Fields("GetBucket GetBucketObjectVersions ListMultipartUploads") {
			add(action, bucket, map[string]string{"cos:prefix": key})
			add(action, bucket, map[string]string{"cos:prefix": url.QueryEscape(key)})
		}
	}
	add("GetService", "qcs::cos::uid/1250000000:", nil)
	return calls
}

// allowed evaluates a policy as CAM documents it: an explicit deny wins, and without an allow
// the call is denied.
func (c cosCall) allowed(policy *sts.CredentialPolicy) bool {
	allowed := false
	for _, s := range policy.Statement {
		if !globAny(s.Action, c.action) || !globAny(s.Resource, c.resource) || !c.meets(s.Condition) {
			continue
		}
		if s.Effect == "deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (c cosCall) meets(conditions map[string]map[string]any) bool {
	for operator, keys := range conditions {
		for key, values := range keys {
			value, present := c.conditions[key]
			like := operator == "string_like" && globAny(values.([]string), value)
			if !present || !like && (operator != "string_equal" || !slices.Contains(values.([]string), value)) {
				return false
			}
		}
	}
	return true
}
