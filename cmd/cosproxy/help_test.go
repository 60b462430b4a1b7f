package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestHelp_Golden(t *testing.T) {
	golden(t, "testdata/help.golden", usage())
}

func TestHelp_ManualTables(t *testing.T) {
	const begin, end = "<!-- settings:begin -->\n", "<!-- settings:end -->"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	table, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the markers %q and %q", manual, begin, end)
	}
	want := settingsMarkdown()
	if *update {
		if err := os.WriteFile(manual, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("the settings in %s are out of date; run go test ./cmd/cosproxy -update\ngot:\n%s\nwant:\n%s", manual, table, want)
	}
}

// TestSettings_Described checks that the tags of config are sufficient for help and error
// messages.
func TestSettings_Described(t *testing.T) {
	seen, fields := make(map[string]bool), make(map[string]bool)
	for _, s := range settings() {
		if !strings.HasSuffix(s.desc, ".") {
			t.Errorf("%s: desc %q is missing or not a sentence", s.variable, s.desc)
		}
		if strings.Count(s.desc, "'")%2 != 0 {
			t.Errorf("%s: desc %q has an unpaired quote", s.variable, s.desc)
		}
		if s.required && (s.example == "" || s.fallback != "") {
			t.Errorf("%s: a required setting must have an example and no default", s.variable)
		}
		if !regexp.MustCompile(`^(COSPROXY|TENCENTCLOUD|TKE)_[A-Z_]+$`).MatchString(s.variable) || seen[s.variable] {
			t.Errorf("%s: the name is not unique or lacks the prefix COSPROXY_, TENCENTCLOUD_ or TKE_", s.variable)
		}
		if fields[s.field] {
			t.Errorf("%s: the field name %s is not unique", s.variable, s.field)
		}
		seen[s.variable], fields[s.field] = true, true
	}
	for _, name := range regexp.MustCompile(`(COSPROXY|TENCENTCLOUD|TKE)_[A-Z_]+`).FindAllString(usage(), -1) {
		if !seen[name] && name != routesPrefix {
			t.Errorf("the usage text contains %s, which is not a setting", name)
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("output differs from %s; to accept it, run with -update\ngot:\n%s", path, got)
	}
}
