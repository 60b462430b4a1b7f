package main

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"
)

// TestStages_OnlyResolveDoesIO uses files and users that do not exist. parse and validate
// report no problem, resolve reports each.
func TestStages_OnlyResolveDoesIO(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	p := newProblems()
	c := parse(env.ToMap(settingsFor("TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_ID_FILE="+none, "COSPROXY_SOCKET_OWNER=no-such-user",
		"COSPROXY_CLIENT_TOKEN_FILE="+none, "COSPROXY_TLS_CERT_FILE="+none, "COSPROXY_TLS_KEY_FILE="+none, "COSPROXY_CA_FILE="+none)), p)
	wantProblems(t, p.err(), nil)
	validate(c, p)
	wantProblems(t, p.err(), nil)
	resolve(*c, p)
	wantProblems(t, p.err(), []string{
		"TENCENTCLOUD_SECRET_ID_FILE is a file that cannot be read",
		"COSPROXY_SOCKET_OWNER is invalid: this machine has no user",
		"COSPROXY_CLIENT_TOKEN_FILE cannot be used",
		"COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE cannot be used",
		"COSPROXY_CA_FILE is a file that cannot be read",
	})
}

// TestStages_ResolveCopies checks that resolve does not change its input.
func TestStages_ResolveCopies(t *testing.T) {
	p := newProblems()
	c := parse(env.ToMap(settingsFor("TENCENTCLOUD_SECRET_KEY=", "TENCENTCLOUD_SECRET_KEY_FILE="+file(t, testKey))), p)
	validate(c, p)
	r := resolve(*c, p)
	wantProblems(t, p.err(), nil)
	if c.Source.SecretKey != "" || r.Source.SecretKey != testKey {
		t.Errorf("the secret is in the parsed settings: %t, in the resolved ones: %t", c.Source.SecretKey != "", r.Source.SecretKey == testKey)
	}
}

// TestStages_Imports checks that the pure stages do not import packages for I/O.
func TestStages_Imports(t *testing.T) {
	for _, name := range []string{"config.go", "parse.go", "renamed.go", "validate.go", "routes.go", "sources.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains([]string{"os", "net/http", "crypto/x509", "cosproxy/credcache/smallfile"}, path) || strings.HasPrefix(path, "os/") {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
