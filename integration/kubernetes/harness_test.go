package kubernetes_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// program is the path of cosproxy, built by TestMain.
var program string

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cosproxy")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "cosproxy")
	build := exec.Command("go", "build", "-pgo=off", "-o", program, "./cmd/cosproxy")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
		return 1
	}
	return m.Run()
}

// environments returns the environments that a kind of manifest supports, by name: the
// golden files of cmd/cosproxy have the same.
func environments(t *testing.T, kind string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "cmd/cosproxy/testdata/manifest/*.env"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if slices.Contains(strings.Fields(strings.TrimPrefix(lines[0], "#")), kind) {
			all[strings.TrimSuffix(filepath.Base(file), ".env")] = lines[1:]
		}
	}
	if len(all) < 3 {
		t.Fatalf("only %d environments for %s", len(all), kind)
	}
	return all
}

// manifest returns what cosproxy manifest prints.
func manifest(t *testing.T, environ []string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program, append([]string{"manifest"}, args...)...)
	cmd.Env = environ
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}

// with returns the environment sts with more settings.
func with(t *testing.T, kind string, more ...string) []string {
	t.Helper()
	return slices.Concat(environments(t, kind)["sts"], more)
}

// nasty are values with characters that have a meaning in YAML, Kubernetes, Compose or a
// shell.
var nasty = []string{
	`"quoted" 'twice'`, `a: b`, `a #b`, `# a`, `*anchor`, `&anchor`, `!tag`, `%25 %d %`, `- a`, `{a: b}`, `[a]`, `|`, `>`, `@a`, "`a`",
	`$HOME`, `${HOME}`, `$(HOME)`, `$$`, `$$(HOME)`, `a$`, `${HOME:-x}`, `\`, `a\nb`, `\x41`, ` a `, `yes`, `null`, `1e3`, `0777`, `~`,
	"ünïcode 腾讯云 🙂", "a\u00a0b\u200bc\ufeffd\u2028e",
}
