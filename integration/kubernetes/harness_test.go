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

// breaking are characters that a YAML parser takes for line breaks or rejects, or other
// systems do, and some that look similar.
var breaking = []rune("\t\n\v\f\r\x1b\x7f\u0080\u0085\u00a0\u00ad\u200b\u200e\u2028\u2029\u202e\ue000\ufdd0\ufdef\ufeff\ufffc\ufffd\ufffe\uffff\U0001f642\U0001ffff")

// accepted calls check with the output for every breaking character that cosproxy prints, in
// a value and in a comment. If the character ends the comment, the output has a key more.
func accepted(t *testing.T, kind string, check func(value, socket string, text []byte)) {
	t.Helper()
	printed := 0
	for _, r := range breaking {
		value, socket := "a"+string(r)+"b", "/run/cos/a"+string(r)+"injected: b"
		cmd := exec.Command(program, "manifest", kind)
		cmd.Env = append(slices.Clone(environments(t, kind)["cvm"]), "COSPROXY_ROLE_EXTERNAL_ID="+value, "COSPROXY_LISTEN=unix://"+socket)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		switch out, err := cmd.Output(); {
		case err == nil:
			printed++
			check(value, socket, out)
		case !strings.Contains(stderr.String(), "COSPROXY_LISTEN contains a line break"):
			t.Errorf("%s, %U: %v\n%s", kind, r, err, stderr.Bytes())
		}
	}
	if printed < 8 || printed == len(breaking) {
		t.Errorf("%d of %d characters are printed", printed, len(breaking))
	}
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
	"ünïcode 腾讯云 🙂", "a\u00a0b\u200bc\u00add 👩\u200d💻",
}
