package credcache_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func roleSource(t *testing.T, endpoint string, change func(*credcache.RoleOptions)) credcache.Source {
	t.Helper()
	opts := credcache.RoleOptions{Pair: longLived, RoleARN: exampleRole, Endpoint: endpoint}
	if change != nil {
		change(&opts)
	}
	src, err := credcache.NewRole(opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestRoleRequest(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		change                      func(*credcache.RoleOptions)
		session, external, duration string
	}{
		{"defaults", nil, "cosproxy", "", "1800"},
		{"all given", func(o *credcache.RoleOptions) {
			o.SessionName, o.ExternalID, o.Duration = "pod-1@example", "tenant/7", 12*time.Hour
		}, "pod-1@example", "tenant/7", "43200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expires := time.Now().Add(time.Hour).Unix()
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				verifySTSRequest(t, r, map[string]string{
					"Action": "AssumeRole", "RoleArn": exampleRole, "RoleSessionName": tt.session,
					"ExternalId": tt.external, "DurationSeconds": tt.duration,
				})
				issue(w, expires)
			})
			creds, err := roleSource(t, server.URL, tt.change).Fetch(t.Context(), uploads)
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: secret, Token: secret, Expires: time.Unix(expires, 0)}
			if err != nil || creds != want {
				t.Errorf("got %v, %v, want %v", creds, err, want)
			}
		})
	}
}

func TestRoleErrors(t *testing.T) {
	for code, want := range map[string]credcache.SourceError{
		"InternalError.GetRoleError":           {Hint: "role ARN", Retryable: true},
		"ResourceNotFound.RoleNotFound":        {Hint: "role ARN"},
		"AuthFailure.UnauthorizedOperation":    {Hint: "trust policy"},
		"InvalidParameter.OverTimeError":       {Hint: "maximum session duration"},
		"InvalidParameter.AccessKeyNotSupport": {},
		"RequestLimitExceeded":                 {Hint: "too many calls", Retryable: true},
	} {
		t.Run(code, func(t *testing.T) {
			server := stsServer(t, answer(fmt.Sprintf(`"Error":{"Code":%q,"Message":"not with %s"},"RequestId":"req-7"`, code, secret)))
			want.Source, want.Code, want.RequestID, want.Message = "role", code, "req-7", "not with [redacted]"
			wantSourceError(t.Context(), t, roleSource(t, server.URL, nil), want, nil)
		})
	}
}

func TestRoleOptions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*credcache.RoleOptions)
		field  string // "": no mistake
	}{
		{"a role by its id", func(o *credcache.RoleOptions) { o.RoleARN = "qcs::cam::uin/100000000001:role/46116860184" }, ""},
		{"no role", func(o *credcache.RoleOptions) { o.RoleARN = "" }, "RoleARN"},
		{"only the name", func(o *credcache.RoleOptions) { o.RoleARN = "example" }, "RoleARN"},
		{"a role with a line break", func(o *credcache.RoleOptions) { o.RoleARN += "\n" }, "RoleARN"},
		{"no pair", func(o *credcache.RoleOptions) { o.Pair = nil }, "Pair"},
		{"an endpoint with a path", func(o *credcache.RoleOptions) { o.Endpoint = "https://example.com/sts" }, "Endpoint"},
		{"the shortest session name", func(o *credcache.RoleOptions) { o.SessionName = "ab" }, ""},
		{"the longest session name", func(o *credcache.RoleOptions) { o.SessionName = strings.Repeat("a", 128) }, ""},
		{"one letter", func(o *credcache.RoleOptions) { o.SessionName = "a" }, "SessionName"},
		{"129 letters", func(o *credcache.RoleOptions) { o.SessionName = strings.Repeat("a", 129) }, "SessionName"},
		{"all signs", func(o *credcache.RoleOptions) { o.SessionName = "a_1+=,.@-" }, ""},
		{"a slash", func(o *credcache.RoleOptions) { o.SessionName = "a/b" }, "SessionName"},
		{"the longest life", func(o *credcache.RoleOptions) { o.Duration = 12 * time.Hour }, ""},
		{"too long a life", func(o *credcache.RoleOptions) { o.Duration = 12*time.Hour + time.Second }, "Duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := credcache.RoleOptions{Pair: longLived, RoleARN: exampleRole}
			tt.change(&opts)
			_, err := credcache.NewRole(opts)
			wantMistake(t, err, tt.field)
		})
	}
}

// wantMistake fails the test unless err is one OptionError in field; an empty
// field means no error.
func wantMistake(t *testing.T, err error, field string) {
	t.Helper()
	got := fields(t, err)
	if field == "" && err == nil {
		return
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], field+": ") {
		t.Errorf("got %q, want one mistake in %q", got, field)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("the error holds a secret: %v", err)
	}
}

func TestRotatedPairIsUsedAtTheNextFetch(t *testing.T) {
	mounted := newMount(t, map[string]string{"id": "AKID-old\n", "key": " " + secret + "-old\r\n"})
	pair := credcache.FilePair(mounted.path("id"), mounted.path("key"))
	var ids []string
	server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		id := r.PostForm.Get("SecretId")
		key := secret + strings.TrimPrefix(id, "AKID")
		if got, want := r.PostForm.Get("Signature"), signature(key, stringToSign(r.Host, r.PostForm)); got != want {
			t.Errorf("the signature is not that of the key of %s", id)
		}
		ids = append(ids, id)
		issue(w, time.Now().Add(time.Hour).Unix())
	})
	sources := []credcache.Source{
		stsSource(t, server.URL, func(o *credcache.STSOptions) { o.Pair = pair }),
		roleSource(t, server.URL, func(o *credcache.RoleOptions) { o.Pair = pair }),
	}
	fetchAll := func() {
		for _, src := range sources {
			if _, err := src.Fetch(t.Context(), uploads); err != nil {
				t.Fatal(err)
			}
		}
	}
	fetchAll()
	mounted.swap(map[string]string{"id": "AKID-new", "key": secret + "-new"})
	fetchAll()
	if got, want := fmt.Sprint(ids), "[AKID-old AKID-old AKID-new AKID-new]"; got != want {
		t.Errorf("asked as %s, want %s", got, want)
	}

	mounted.swap(map[string]string{"id": "AKID-new"})
	for i, name := range []string{"sts", "role"} {
		wantSourceError(t.Context(), t, sources[i], credcache.SourceError{
			Source: name, Code: "Unreadable", Message: "SecretKey: ", Hint: "check that the file", Retryable: true}, nil)
	}
}

func TestFilePairIsOfOneState(t *testing.T) {
	state := func(n int) map[string]string {
		return map[string]string{"id": fmt.Sprint("AKID-", n), "key": fmt.Sprint(secret, "-", n)}
	}
	mounted := newMount(t, state(0))
	read := credcache.FilePair(mounted.path("id"), mounted.path("key"))
	var swapped atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() {
		for !swapped.Load() {
			// A file may be gone between two steps of a read; that is an error,
			// and none at the next fetch.
			id, key, err := read()
			if err == nil && strings.TrimPrefix(id, "AKID") != strings.TrimPrefix(key, secret) {
				t.Errorf("the id %s came with the key of another pair", id)
			}
		}
	})
	for n := range 300 {
		mounted.swap(state(n + 1))
	}
	swapped.Store(true)
	reader.Wait()
	if id, _, err := read(); err != nil || id != "AKID-300" {
		t.Errorf("got %s, %v at the end", id, err)
	}
}

func TestFilePairMistakes(t *testing.T) {
	dir := t.TempDir()
	id, key := write(t, dir, "id", "AKID-1"), write(t, dir, "key", secret)
	for _, tt := range []struct{ name, id, key, field, says string }{
		{"both there", id, key, "", ""},
		{"no id", dir + "/none", key, "SecretID", "no such file"},
		{"no key", id, dir + "/none", "SecretKey", "no such file"},
		{"an empty key", id, write(t, dir, "empty", " \n"), "SecretKey", "is empty"},
		{"a key in two lines", id, write(t, dir, "two", secret+"\n"+secret), "SecretKey", "the value alone"},
		{"a directory", dir, key, "SecretID", "not a plain file"},
		{"a huge file", id, write(t, dir, "huge", strings.Repeat("a", 65<<10)), "SecretKey", "more than 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := credcache.NewSTS(credcache.STSOptions{Pair: credcache.FilePair(tt.id, tt.key)})
			wantMistake(t, err, tt.field)
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
		})
	}
}

func TestTooLongAPolicyIsNotSent(t *testing.T) {
	wide := uploads
	wide.AllowPrefixes = nil
	for n := range 100 {
		wide.AllowPrefixes = append(wide.AllowPrefixes, fmt.Sprintf("uploads/%d/*", n))
	}
	if err := wide.Validate(); err != nil {
		t.Fatalf("the scope is fine for sources that send no policy, and got %v", err)
	}
	for _, name := range []string{"sts", "role"} {
		server := stsServer(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
		_, err := asking[name](t, server.URL).Fetch(t.Context(), wide)
		if err == nil || !strings.Contains(err.Error(), "policy of ") || !strings.Contains(err.Error(), "takes 6144") {
			t.Errorf("%s: got %v, want a word on the length", name, err)
		}
	}
}

func TestPolicyLength(t *testing.T) {
	// A prefix is escaped as JSON twice, for the resource and for the condition
	// of listings, which counts: < becomes \u003c.
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
			t.Errorf("%s: %d fit, and got %v", name, room, err)
		}
		s.AllowPrefixes[0] += unit
		_, err := s.Policy()
		wantMistake(t, err, "AllowPrefixes")
	}
	var form url.Values // the policy of a scope that fits arrives whole
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
