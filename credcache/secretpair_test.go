package credcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/credcache"
)

func TestFilePair_Rotated(t *testing.T) {
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
			t.Errorf("the signature is not made with the SecretKey of %s", id)
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
		t.Errorf("called as %s, want %s", got, want)
	}

	mounted.swap(map[string]string{"id": "AKID-new"})
	for i, name := range []string{"sts", "role"} {
		wantSourceError(t.Context(), t, sources[i], credcache.SourceError{
			Source: name, Code: "Unreadable", Message: "SecretKey: ", Hint: "check that the file", Retryable: true}, nil)
	}
}

func TestFilePair_ConcurrentSwap(t *testing.T) {
	version := func(n int) map[string]string {
		return map[string]string{"id": fmt.Sprint("AKID-", n), "key": fmt.Sprint(secret, "-", n)}
	}
	mounted := newMount(t, version(0))
	read := credcache.FilePair(mounted.path("id"), mounted.path("key"))
	var swapped atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() {
		for !swapped.Load() {
			// A file may disappear during a read. That is an error, but not at the next
			// fetch.
			id, key, err := read()
			if err == nil && strings.TrimPrefix(id, "AKID") != strings.TrimPrefix(key, secret) {
				t.Errorf("the id %s came with the key of another pair", id)
			}
		}
	})
	for n := range 300 {
		mounted.swap(version(n + 1))
	}
	swapped.Store(true)
	reader.Wait()
	if id, _, err := read(); err != nil || id != "AKID-300" {
		t.Errorf("got %s, %v at the end", id, err)
	}
}

func TestFilePair_Invalid(t *testing.T) {
	dir := t.TempDir()
	id, key := write(t, dir, "id", "AKID-1"), write(t, dir, "key", secret)
	for _, tt := range []struct{ name, id, key, field, says string }{
		{"both files", id, key, "", ""},
		{"no SecretId", dir + "/none", key, "SecretID", "no such file"},
		{"no SecretKey", id, dir + "/none", "SecretKey", "no such file"},
		{"an empty SecretKey", id, write(t, dir, "empty", " \n"), "SecretKey", "is empty"},
		{"a SecretKey in two lines", id, write(t, dir, "two", secret+"\n"+secret), "SecretKey", "the value alone"},
		{"a directory", dir, key, "SecretID", "not a regular file"},
		{"a huge file", id, write(t, dir, "huge", strings.Repeat("a", 65<<10)), "SecretKey", "more than 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := credcache.NewSTS(credcache.STSOptions{Pair: credcache.FilePair(tt.id, tt.key)})
			wantProblem(t, err, tt.field)
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
		})
	}
}
