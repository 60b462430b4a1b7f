package integration_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestDependencies holds the direction of the dependencies. Below each package
// stand the packages of this module that it may reach, itself left out.
func TestDependencies(t *testing.T) {
	may := map[string][]string{
		"cosproxy/signer":             {},
		"cosproxy/credcache":          {"cosproxy/signer"},
		"cosproxy/proxy":              {"cosproxy/signer"},
		"cosproxy/cmd/cosproxy":       {"cosproxy/credcache", "cosproxy/proxy", "cosproxy/signer"},
		"cosproxy/integration/cosemu": {},
		"cosproxy/cmd/cosemu":         {"cosproxy/integration/cosemu"},
		"cosproxy/integration":        {},
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
		if pkg.ImportPath == "cosproxy/signer" {
			onlyStandardLibrary(t, pkg)
		}
	}
}

// TestEnvironmentKnownInOnePlace: packages take Options; only the programs read
// the environment.
func TestEnvironmentKnownInOnePlace(t *testing.T) {
	for _, pkg := range listPackages(t) {
		if strings.HasPrefix(pkg.ImportPath, "cosproxy/cmd/") {
			continue
		}
		for _, file := range pkg.GoFiles {
			out, _ := exec.Command("grep", "-nE", `os\.(Getenv|LookupEnv|Environ)\(`, pkg.Dir+"/"+file).Output()
			if len(out) > 0 {
				t.Errorf("%s/%s reads the environment:\n%s", pkg.ImportPath, file, out)
			}
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
