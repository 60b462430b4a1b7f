package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cosproxy/credcache/issuer"
	"cosproxy/credcache/smallfile"
)

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadTokens(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"team-a": "0123456789abcdef\n", "team-b": " 0123456789abcdeg ",
		"copy-1": strings.Repeat("c", 20), "copy-2": strings.Repeat("c", 20) + "\n",
		"short": "SHORT-TOKEN", "empty": "\n", "blank": "SECRET WITH A BLANK", "umlaut": "SECRETäSECRETSECRET",
		"long": strings.Repeat("x", 17<<10), "system:serviceaccount:a:b": "0123456789abcdeh", "-x": "0123456789abcdei",
		".hidden": "0123456789abcdej",
	} {
		writeFile(t, filepath.Join(dir, name), content)
	}
	if err := os.Symlink("missing", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	tokens, problems, err := issuer.ReadTokens(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := tokens.Callers(); !slices.Equal(got, []string{"team-a", "team-b"}) {
		t.Errorf("callers %q", got)
	}
	all := strings.Join(problems, "\n")
	for _, want := range []string{
		"the files copy-1, copy-2 have the same token", "the file short has a token of 11 bytes", "the file empty is empty", "the file blank has a space",
		"the file umlaut has a space, a line break or a character outside ASCII", "the file long has more than", "the file system:serviceaccount:a:b has a name",
		"the file -x has a name", "the file dangling cannot be read",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no problem %q in\n%s", want, all)
		}
	}
	if len(problems) != 9 || strings.Contains(all, "SECRET") || strings.Contains(all, "SHORT-TOKEN") || strings.Contains(all, "hidden") {
		t.Errorf("problems:\n%s", all)
	}
	if _, _, err := issuer.ReadTokens(t.Context(), filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing directory is not an error")
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := issuer.ReadTokens(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "the file folder cannot be read") {
		t.Errorf("a file that cannot be read: got %v", err)
	}
}

// A scan that takes too long is an error: the callers whose files were not read would be unknown.
func TestReadTokens_Timeout(t *testing.T) {
	dir := t.TempDir()
	for n := range 20 {
		writeFile(t, filepath.Join(dir, fmt.Sprint("team-", n)), strings.Repeat("t", 20)+fmt.Sprint(n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if tokens, _, err := issuer.ReadTokens(ctx, dir); !errors.Is(err, smallfile.ErrTimeout) || tokens != nil {
		t.Errorf("got %v, %v, want %v", tokens, err, smallfile.ErrTimeout)
	}
}

func TestCheckCaller(t *testing.T) {
	for name, ok := range map[string]bool{
		"team-a": true, "A.b_c-1": true, podCaller: true, "system:serviceaccount:a:b.c-d": true,
		"": false, "*": false, "team-*": false, "a b": false, "-a": false, ".a": false, "a/b": false, strings.Repeat("a", 129): false,
		"system:serviceaccount:a:*": false, "system:serviceaccount:*:b": false, "system:serviceaccount:a": false, "system:serviceaccount::b": false,
		"system:serviceaccount:a:b:c": false, "system:serviceaccount:A:b": false, "system:node:a": false, "a\n": false, podCaller + "\n": false,
	} {
		if err := issuer.CheckCaller(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if !issuer.IsServiceAccount(podCaller) || issuer.IsServiceAccount("team-a") {
		t.Error("IsServiceAccount is wrong")
	}
}
