package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEnvironment_RemovesSourceSettings reads the settings from cosproxy's own list,
// so that a new setting cannot lead CMD to real credentials.
func TestEnvironment_RemovesSourceSettings(t *testing.T) {
	text, err := os.ReadFile("../cosproxy/sources.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`env:"([A-Z_]+)"`).FindAllSubmatch(text, -1)
	if len(names) == 0 {
		t.Fatal("sources.go has no settings")
	}
	environ := []string{"PATH=" + os.Getenv("PATH"), "COSPROXY_ROUTES_0_SOURCE=of-the-caller"}
	for _, name := range names {
		environ = append(environ, string(name[1])+"=of-the-caller")
	}
	for _, source := range append([]string{""}, sources...) {
		var stdout bytes.Buffer
		if code := run(t.Context(), []string{"-source", source, "--", "env"}, environ, nil, &stdout, t.Output()); code != 0 {
			t.Fatalf("-source %q: exit code %d", source, code)
		}
		for line := range strings.Lines(stdout.String()) {
			if strings.Contains(line, "of-the-caller") {
				t.Errorf("-source %q does not remove %s", source, line)
			}
		}
	}
}
