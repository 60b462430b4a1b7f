package integration_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDependencies checks which packages of this module each package imports, without
// tests.
func TestDependencies(t *testing.T) {
	arrows := map[string]string{
		"signer":                    "",
		"credcache":                 "credcache/smallfile signer",
		"credcache/issuer":          "credcache credcache/smallfile signer",
		"credcache/smallfile":       "",
		"proxy":                     "proxy/guard proxy/http1 proxy/internal/awschunked proxy/internal/coserr proxy/internal/cosreq proxy/internal/crc64 proxy/internal/digest proxy/internal/formdata proxy/internal/postpolicy proxy/internal/s3req signer",
		"proxy/guard":               "proxy/internal/coserr proxy/internal/cosreq",
		"proxy/http1":               "",
		"proxy/internal/awschunked": "proxy/internal/coserr proxy/internal/digest",
		"proxy/internal/coserr":     "",
		"proxy/internal/cosreq":     "proxy/internal/coserr",
		"proxy/internal/crc64":      "",
		"proxy/internal/digest":     "proxy/internal/coserr proxy/internal/crc64",
		"proxy/internal/formdata":   "proxy/internal/coserr",
		"proxy/internal/postpolicy": "proxy/internal/coserr",
		"proxy/internal/s3req":      "proxy/internal/coserr proxy/internal/cosreq",
		"cmd/cosproxy":              "credcache credcache/issuer credcache/smallfile proxy proxy/guard proxy/http1 signer",
		"cmd/cosemu":                "integration/cosemu",
		"integration":               "",
		"integration/bench":         "",
		"integration/cosemu":        "",
		"integration/release":       "",
	}
	for _, pkg := range listPackages(t) {
		name := strings.TrimPrefix(pkg.ImportPath, "cosproxy/")
		want, known := arrows[name]
		if !known {
			t.Errorf("%s is a new package; list its imports in this test", name)
			continue
		}
		var got []string
		for _, path := range pkg.Imports {
			if own, ok := strings.CutPrefix(path, "cosproxy/"); ok {
				got = append(got, own)
			}
		}
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s imports %v, want [%s]", name, got, want)
		}
		if pkg.Doc == "" {
			t.Errorf("%s has no package documentation", name)
		}
		if name == "signer" || name == "proxy/http1" {
			onlyStandardLibrary(t, pkg)
		}
	}
}

// TestDependencies_Environment checks that only the programs name variables and read
// the environment. Packages take Options.
func TestDependencies_Environment(t *testing.T) {
	found := make(map[string]bool)
	for _, pkg := range listPackages(t) {
		program := strings.HasPrefix(pkg.ImportPath, "cosproxy/cmd/") || pkg.ImportPath == "cosproxy/integration/bench"
		for _, name := range pkg.GoFiles {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(pkg.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				what := environmentUse(n)
				found[pkg.ImportPath] = found[pkg.ImportPath] || what != ""
				if what != "" && !program {
					t.Errorf("%s: %s", files.Position(n.Pos()), what)
				}
				return true
			})
		}
	}
	for _, program := range []string{"cosproxy/cmd/cosproxy", "cosproxy/cmd/cosemu"} {
		if !found[program] {
			t.Errorf("this test does not find the environment variables of %s", program)
		}
	}
}

// environmentUse describes how a node uses the environment; empty if it does not.
func environmentUse(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BasicLit:
		if n.Kind == token.STRING && strings.Contains(n.Value, "COSPROXY_") {
			return "names a variable: " + n.Value
		}
	case *ast.SelectorExpr:
		pkg, ok := n.X.(*ast.Ident)
		reads := []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}
		if ok && (pkg.Name == "os" || pkg.Name == "syscall") && slices.Contains(reads, n.Sel.Name) {
			return "reads the environment with " + pkg.Name + "." + n.Sel.Name
		}
	}
	return ""
}

type goPackage struct {
	ImportPath, Dir, Doc   string
	GoFiles, Imports, Deps []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-pgo=off", "-json=ImportPath,Dir,Doc,GoFiles,Imports,Deps", "cosproxy/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages", len(pkgs))
	}
	return pkgs
}

func onlyStandardLibrary(t *testing.T, pkg goPackage) {
	t.Helper()
	for _, dep := range pkg.Deps {
		first, _, _ := strings.Cut(dep, "/")
		if strings.Contains(first, ".") {
			t.Errorf("%s imports %s; it may import only the standard library", pkg.ImportPath, dep)
		}
	}
}
