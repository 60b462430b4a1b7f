package integration_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependencies holds the direction of the dependencies. Below each package
// stand the packages of this module that it may reach, itself left out.
func TestDependencies(t *testing.T) {
	may := map[string][]string{
		"cosproxy/signer":              {},
		"cosproxy/credcache":           {"cosproxy/credcache/smallfile", "cosproxy/signer"},
		"cosproxy/credcache/smallfile": {},
		"cosproxy/proxy":               {"cosproxy/signer"},
		"cosproxy/proxy/http1":         {},
		"cosproxy/cmd/cosproxy":        {"cosproxy/credcache", "cosproxy/credcache/smallfile", "cosproxy/proxy", "cosproxy/signer"},
		"cosproxy/integration/cosemu":  {},
		"cosproxy/cmd/cosemu":          {"cosproxy/integration/cosemu"},
		"cosproxy/integration":         {},
		"cosproxy/integration/bench":   {},
	}
	for _, pkg := range listPackages(t) {
		allowed, known := may[pkg.ImportPath]
		if !known {
			t.Errorf("%s is a new package; say here what it may import", pkg.ImportPath)
			continue
		}
		for _, dep := range pkg.Deps {
			if strings.HasPrefix(dep, "cosproxy/") && !slices.Contains(allowed, dep) {
				t.Errorf("%s must not reach %s", pkg.ImportPath, dep)
			}
		}
		if pkg.Doc == "" {
			t.Errorf("%s has no package documentation", pkg.ImportPath)
		}
		if pkg.ImportPath == "cosproxy/signer" || pkg.ImportPath == "cosproxy/proxy/http1" {
			onlyStandardLibrary(t, pkg)
		}
	}
}

// readsEnvironment finds where a program asks for a variable.
var readsEnvironment = regexp.MustCompile(`\b(os|syscall)\.(Getenv|LookupEnv|Environ|ExpandEnv)\(`)

// TestEnvironmentKnownInOnePlace: packages take Options; only the programs read
// the environment.
func TestEnvironmentKnownInOnePlace(t *testing.T) {
	found := make(map[string]bool)
	for _, pkg := range listPackages(t) {
		for _, file := range pkg.GoFiles {
			text, err := os.ReadFile(filepath.Join(pkg.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for n, line := range bytes.Split(text, []byte("\n")) {
				if !readsEnvironment.Match(line) {
					continue
				}
				found[pkg.ImportPath] = true
				if !strings.HasPrefix(pkg.ImportPath, "cosproxy/cmd/") {
					t.Errorf("%s/%s:%d reads the environment: %s", pkg.ImportPath, file, n+1, line)
				}
			}
		}
	}
	for _, program := range []string{"cosproxy/cmd/cosproxy", "cosproxy/cmd/cosemu"} {
		if !found[program] {
			t.Errorf("%s reads its environment, and this test does not see it", program)
		}
	}
}

type goPackage struct {
	ImportPath, Dir, Doc string
	GoFiles, Deps        []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Deps", "cosproxy/...").Output()
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
			t.Errorf("%s uses %s; it is for the standard library only", pkg.ImportPath, dep)
		}
	}
}
