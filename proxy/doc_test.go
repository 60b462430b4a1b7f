package proxy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The package documentation names each file once.
func TestDoc_NamesEveryFile(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`[a-z0-9]+\.go\b`).FindAllString(string(text), -1)
	slices.Sort(named)
	var files []string
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && name != "doc.go" {
			files = append(files, name)
		}
	}
	if !slices.Equal(named, files) {
		t.Errorf("doc.go names\n%q\nthe files are\n%q", named, files)
	}
}
