package credcache_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/credcache"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func scope(prefixes, actions string) credcache.Scope {
	return credcache.Scope{
		Bucket: "examplebucket-1250000000", Region: "ap-beijing",
		AllowPrefixes: strings.Split(prefixes, ","), AllowActions: strings.Split(actions, ","),
	}
}

func TestPolicy(t *testing.T) {
	for name, s := range map[string]credcache.Scope{
		"upload":               scope("uploads/*", "upload"),
		"upload-acl":           scope("uploads/*", "name/cos:PutObject,acl"),
		"create-bucket":        scope("a/*", "name/cos:PutBucket,name/cos:PutObjectACL,name/cos:PutObject"),
		"literal-escapes":      scope("a%2Fb*,c+d*,e/*", "name/cos:GetBucket"),
		"read-write-delete":    scope("uploads/*,a.txt", "read,write,delete"),
		"list-prefix":          scope("目录/*,a+b/c*,a.txt", "list"),
		"list-versions":        scope("a/*", "name/cos:GetBucketObjectVersions"),
		"list-whole-bucket":    scope("*", "list,read"),
		"bucket-settings":      scope("a/*", "name/cos:GetBucketCORS,name/cos:GetObject"),
		"any-action-on-prefix": scope("a/*", "*"),
		"any-action-anywhere":  scope("*,a/*", "*,read"),
		"list-buckets":         scope("a/*", "read,name/cos:GetService"),
		"quotes":               scope(`say"hi"\/*`, "read"),
	} {
		t.Run(name, func(t *testing.T) {
			policy, err := s.Policy()
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(policy, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "policy", name+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestPolicy_EqualScopes(t *testing.T) {
	a, err1 := scope("b/*,a/*,b/*,b/c", "write,read").Policy()
	b, err2 := scope("a/*,b/*", "read,write,upload").Policy()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	ja, _ := json.Marshal(a)
	jb, _ := json.Marshal(b)
	if string(ja) != string(jb) {
		t.Errorf("got\n%s\nand\n%s", ja, jb)
	}
}

func TestPolicy_ScopeUnchanged(t *testing.T) {
	s := scope("b/*,a/*", "write,read")
	if _, err := s.Policy(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.AllowPrefixes, []string{"b/*", "a/*"}) || !slices.Equal(s.AllowActions, []string{"write", "read"}) {
		t.Errorf("Policy changed the scope to %+v", s)
	}
}

// problems returns "Field: Problem" of each OptionError in err.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var all []string
	var walk func(error)
	walk = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		var problem *credcache.OptionError
		if !errors.As(err, &problem) {
			t.Fatalf("%v is not an OptionError", err)
		}
		all = append(all, problem.Field+": "+problem.Problem)
	}
	if err != nil {
		walk(err)
	}
	return all
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*credcache.Scope)
		field  string
		says   string
	}{
		{"no bucket", func(s *credcache.Scope) { s.Bucket = "" }, "Bucket", "APPID"},
		{"no APPID", func(s *credcache.Scope) { s.Bucket = "examplebucket" }, "Bucket", "examplebucket-1250000000"},
		{"a year instead of an APPID", func(s *credcache.Scope) { s.Bucket = "reports-2024" }, "Bucket", "APPID"},
		{"only an APPID", func(s *credcache.Scope) { s.Bucket = "-1250000000" }, "Bucket", "APPID"},
		{"upper case", func(s *credcache.Scope) { s.Bucket = "Example-1250000000" }, "Bucket", "APPID"},
		{"a path", func(s *credcache.Scope) { s.Bucket = "a-1250000000/*" }, "Bucket", "APPID"},
		{"a line break after it", func(s *credcache.Scope) { s.Bucket += "\n" }, "Bucket", "APPID"},
		{"no region", func(s *credcache.Scope) { s.Region = "" }, "Region", "ap-beijing"},
		{"a host as region", func(s *credcache.Scope) { s.Region = "cos.ap-beijing" }, "Region", "ap-beijing"},
		{"every region", func(s *credcache.Scope) { s.Region = "*" }, "Region", "ap-beijing"},
		{"no prefix", func(s *credcache.Scope) { s.AllowPrefixes = nil }, "AllowPrefixes", "* for the whole bucket"},
		{"an empty prefix", func(s *credcache.Scope) { s.AllowPrefixes = []string{""} }, "AllowPrefixes", "* for the whole bucket"},
		{"a leading slash", func(s *credcache.Scope) { s.AllowPrefixes = []string{"/a/*"} }, "AllowPrefixes", `write "a/*"`},
		{"a star inside", func(s *credcache.Scope) { s.AllowPrefixes = []string{"a*/b"} }, "AllowPrefixes", "before its end"},
		{"two stars", func(s *credcache.Scope) { s.AllowPrefixes = []string{"a/**"} }, "AllowPrefixes", "before its end"},
		{"a directory without a star", func(s *credcache.Scope) { s.AllowPrefixes = []string{"a/"} }, "AllowPrefixes", `write "a/*"`},
		{"a blank", func(s *credcache.Scope) { s.AllowPrefixes = []string{"a b/*"} }, "AllowPrefixes", "blank"},
		{"an unusual blank", func(s *credcache.Scope) { s.AllowPrefixes = []string{"a\u3000b/*"} }, "AllowPrefixes", "blank"},
		{"a control character", func(s *credcache.Scope) { s.AllowPrefixes = []string{"a\x00/*"} }, "AllowPrefixes", "control"},
		{"not UTF-8", func(s *credcache.Scope) { s.AllowPrefixes = []string{"a\xff/*"} }, "AllowPrefixes", "UTF-8"},
		{"no action", func(s *credcache.Scope) { s.AllowActions = nil }, "AllowActions", "read,list or upload"},
		{"an unknown action", func(s *credcache.Scope) { s.AllowActions = []string{"everything"} }, "AllowActions", "or * for all"},
		{"a wildcard action", func(s *credcache.Scope) { s.AllowActions = []string{"name/cos:Get*"} }, "AllowActions", "or * for all"},
		{"the wrong case", func(s *credcache.Scope) { s.AllowActions = []string{"name/cos:getobject"} }, "AllowActions", "write name/cos:GetObject"},
		{"no name/", func(s *credcache.Scope) { s.AllowActions = []string{"cos:PutObject"} }, "AllowActions", "write name/cos:PutObject"},
		{"the bare name", func(s *credcache.Scope) { s.AllowActions = []string{"HeadBucket"} }, "AllowActions", "write name/cos:HeadBucket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := scope("a/*", "read")
			tt.change(&s)
			got := problems(t, s.Validate())
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.field+": ") || !strings.Contains(got[0], tt.says) {
				t.Errorf("got %q, want one problem in %s that says %q", got, tt.field, tt.says)
			}
			if policy, err := s.Policy(); err == nil {
				t.Errorf("the invalid scope has a policy: %+v", policy)
			}
		})
	}
}

func TestValidate_AllProblems(t *testing.T) {
	got := problems(t, credcache.Scope{Bucket: "x", Region: "?", AllowPrefixes: []string{"/a", "b/"}, AllowActions: []string{"c", "d"}}.Validate())
	if len(got) != 6 {
		t.Errorf("got %q, want 6 problems", got)
	}
}

func TestValidate_Valid(t *testing.T) {
	for _, prefix := range []string{"*", "a", "a/*", "img_*", "a/b.txt", "目录/*", "a+b", "a%20b", `"`, "a//b", "a/?"} {
		for _, action := range []string{"*", "name/cos:*", "read", "list", "upload", "write", "delete", "name/cos:PutObjectACL"} {
			if err := scope(prefix, action).Validate(); err != nil {
				t.Errorf("%s of %s: %v", action, prefix, err)
			}
		}
	}
}

func TestExpandActions(t *testing.T) {
	all := func(names string) []string {
		words := strings.Fields(names)
		for i := range words {
			words[i] = "name/cos:" + words[i]
		}
		return words
	}
	for _, tt := range []struct {
		words []string
		want  []string
	}{
		{nil, nil},
		{[]string{"read"}, all("GetObject GetObjectTagging HeadObject OptionsObject")},
		{[]string{"list"}, all("GetBucket HeadBucket")},
		{[]string{"upload"}, all("AbortMultipartUpload CompleteMultipartUpload InitiateMultipartUpload ListMultipartUploads " +
			"ListParts PostObject PutObject UploadPart UploadPartCopy")},
		{[]string{"write"}, all("AbortMultipartUpload AppendObject CompleteMultipartUpload DeleteObjectTagging " +
			"InitiateMultipartUpload ListMultipartUploads ListParts PostObject PostObjectRestore PutObject " +
			"PutObjectTagging UploadPart UploadPartCopy")},
		{[]string{"acl"}, all("GetObjectACL PutObjectACL")},
		{[]string{"delete"}, all("DeleteMultipleObjects DeleteObject")},
		{[]string{"name/cos:PutObject", "list", "name/cos:PutObject"}, all("GetBucket HeadBucket PutObject")},
		{[]string{"*"}, all("*")},
	} {
		got, err := credcache.ExpandActions(tt.words)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, %v, want %q", tt.words, got, err, tt.want)
		}
	}
	_, err := credcache.ExpandActions([]string{"read", "x", "y"})
	if got := problems(t, err); len(got) != 2 || !strings.HasPrefix(got[1], `AllowActions: unknown action "y"`) {
		t.Errorf("got %q", got)
	}
}

// TestPolicy_DocumentedActions compares the table of actions with the documented ones, and
// checks the resource of each.
func TestPolicy_DocumentedActions(t *testing.T) {
	data, err := os.ReadFile("testdata/actions.json")
	if err != nil {
		t.Fatal(err)
	}
	var documented []struct{ Action, Target string }
	if err := json.Unmarshal(data, &documented); err != nil {
		t.Fatal(err)
	}
	if len(documented) < 60 {
		t.Fatalf("only %d actions in the list", len(documented))
	}
	const bucket = "qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/"
	for _, d := range documented {
		policy, err := scope("a/*", d.Action).Policy()
		switch {
		case d.Target == "service":
			if err != nil || len(policy.Statement) != 1 || !slices.Equal(policy.Statement[0].Resource, []string{"*"}) {
				t.Errorf("%s: %+v, %v", d.Action, policy, err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", d.Action, err)
			continue
		}
		first := policy.Statement[0].Resource[0]
		// The form upload is a call on the bucket's URL, authorized by object key.
		onObject := d.Target == "object" || d.Action == "name/cos:PostObject"
		if onObject != (first == bucket+"a/*") || !onObject && first != bucket {
			t.Errorf("%s, a call on the %s, is granted on %s", d.Action, d.Target, first)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("uploads/*", "upload")
	f.Add("*", "*")
	f.Add("a b", "list")
	f.Add("目录/a+b%20\"*", "name/cos:GetBucket")
	f.Add("a\u202eb/*", "read")
	f.Add("a/*", "name/cos:GetService")
	const bucket = "qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/"
	f.Fuzz(func(t *testing.T, prefix, action string) {
		s := credcache.Scope{Bucket: "examplebucket-1250000000", Region: "ap-beijing",
			AllowPrefixes: []string{prefix}, AllowActions: []string{action}}
		policy, err := s.Policy()
		if err != nil {
			if len(problems(t, err)) == 0 {
				t.Errorf("an error that names no field: %v", err)
			}
			return
		}
		text, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(string(text), ' ') {
			t.Errorf("a space in the policy, which the SDK would send as +: %s", text)
		}
		for _, statement := range policy.Statement {
			if slices.Equal(statement.Action, []string{"name/cos:GetService"}) && slices.Equal(statement.Resource, []string{"*"}) {
				continue // it cannot be limited to a bucket
			}
			for _, resource := range statement.Resource {
				path, inside := strings.CutPrefix(resource, bucket)
				listing := statement.Condition != nil || prefix == "*"
				if !inside || path != prefix && path != "" && (path != "*" || !listing) {
					t.Errorf("%q grants %s", prefix, resource)
				}
			}
		}
	})
}

// No document requires the plain form of cos:prefix, so it is omitted if it makes the policy
// too long.
func TestPolicy_TooLongWithBothForms(t *testing.T) {
	for n, plain := range map[int]bool{2: true, 45: false} {
		s := scope("*", "upload,list")
		s.AllowPrefixes = nil
		for i := range n {
			s.AllowPrefixes = append(s.AllowPrefixes, fmt.Sprintf("team-%02d/目录/*", i+1))
		}
		policy, err := s.Policy()
		if err != nil {
			t.Fatalf("%d prefixes: %v", n, err)
		}
		text, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `"team-02%2F%E7%9B%AE%E5%BD%95%2F*"`) || strings.Contains(string(text), `"team-02/目录/*"`) != plain {
			t.Errorf("%d prefixes: the listings are\n%s", n, text)
		}
		if !strings.Contains(string(text), "cos:x-cos-acl") {
			t.Errorf("%d prefixes: public uploads are not denied", n)
		}
	}
}

func TestFetch_PolicyTooLong(t *testing.T) {
	tooLong := uploads
	tooLong.AllowPrefixes = nil
	for n := range 100 {
		tooLong.AllowPrefixes = append(tooLong.AllowPrefixes, fmt.Sprintf("uploads/%d/*", n))
	}
	if err := tooLong.Validate(); err != nil {
		t.Fatalf("the scope is valid for sources that send no policy; got %v", err)
	}
	for _, name := range []string{"sts", "role"} {
		server := stsServer(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
		_, err := httpSources[name](t, server.URL).Fetch(t.Context(), tooLong)
		if err == nil || !strings.Contains(err.Error(), "policy of ") || !strings.Contains(err.Error(), "accepts 6144") {
			t.Errorf("%s: got %v, want an error about the length", name, err)
		}
	}
}

func TestPolicy_MaxLength(t *testing.T) {
	// The limit applies to the escaped JSON: < becomes \u003c.
	measure := func(s credcache.Scope) int {
		s.AllowPrefixes = []string{"*"}
		policy, err := s.Policy()
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		return len(data) - len("*")
	}
	for name, unit := range map[string]string{"ASCII": "a", "Chinese": "长", "escaped": "<"} {
		s := scope("*", "read")
		each := 1 // characters in JSON
		if unit == "<" {
			each = len(`\u003c`)
		}
		room := (6144 - measure(s)) / each
		s.AllowPrefixes = []string{strings.Repeat(unit, room)}
		if _, err := s.Policy(); err != nil {
			t.Errorf("%s: %d characters are within the limit; got %v", name, room, err)
		}
		s.AllowPrefixes[0] += unit
		_, err := s.Policy()
		wantProblem(t, err, "AllowPrefixes")
	}
	var form url.Values // the policy of a scope within the limit is sent
	server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form = r.PostForm
		issue(w, time.Now().Add(time.Hour).Unix())
	})
	long := scope(strings.Repeat("长", 5000)+"*", "read")
	if _, err := stsSource(t, server.URL, nil).Fetch(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	if sent, _ := url.QueryUnescape(form.Get("Policy")); !strings.Contains(sent, long.AllowPrefixes[0]) {
		t.Error("the policy did not arrive")
	}
}
