package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/credcache"
)

func TestManual_IssuerMetrics(t *testing.T) {
	registry := newIssuerRegistry(&credentialStore{caches: map[cacheID]*credcache.Cache{}})
	newIssuerObserver(registry)
	descs := make(chan *prometheus.Desc, 1000)
	registry.Describe(descs)
	close(descs)
	pattern := regexp.MustCompile(`fqName: "(cosproxy_[^"]+)".*variableLabels: \{([^}]*)\}`)
	var actual, documented []string
	for desc := range descs {
		if m := pattern.FindStringSubmatch(desc.String()); m != nil {
			actual = append(actual, m[1]+"{"+m[2]+"}")
		}
	}
	for _, row := range manualTable(t, "issuer-metrics") {
		name, labels := strings.Trim(row[0], "`"), strings.ReplaceAll(strings.ReplaceAll(row[2], "`", ""), ", ", ",")
		documented = append(documented, name+"{"+labels+"}")
		if counter := strings.HasSuffix(name, "_total"); counter != (row[1] == "counter") || !strings.Contains(row[4], name) {
			t.Errorf("the row of %s has the wrong type or no example query", name)
		}
	}
	compare(t, documented, actual)
}

// issuerSource returns the code of package issuer.
func issuerSource(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../../credcache/issuer", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestManual_IssuerErrors compares the manual with the calls of refuse.
func TestManual_IssuerErrors(t *testing.T) {
	var actual, documented []string
	for _, m := range regexp.MustCompile(`refuse\((http\.Status\w+), "(\w+)"`).FindAllStringSubmatch(issuerSource(t), -1) {
		if e := statusNames[m[1]] + " " + m[2]; !slices.Contains(actual, e) {
			actual = append(actual, e)
		}
	}
	for _, row := range manualTable(t, "issuer-errors") {
		documented = append(documented, row[0]+" "+strings.Trim(row[1], "`"))
	}
	compare(t, documented, actual)
}

// TestManual_IssuerLogFields compares the manual with the attributes of the log.
func TestManual_IssuerLogFields(t *testing.T) {
	var actual, documented []string
	for _, m := range regexp.MustCompile(`slog\.(?:String|Int|Time)\("([a-z_.]+)"`).FindAllStringSubmatch(issuerSource(t), -1) {
		actual = append(actual, m[1])
	}
	for _, row := range manualTable(t, "issuer-fields") {
		documented = append(documented, strings.Trim(row[0], "`"))
	}
	compare(t, documented, actual)
}

// issuerBlocks returns the blocks of code in the manual's section on the issuer.
func issuerBlocks(t *testing.T, language string) (blocks []string) {
	t.Helper()
	_, section, found := strings.Cut(readText(t, manual), "\n## Issuer\n")
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, m[1])
	}
	if !found || len(blocks) == 0 {
		t.Fatalf("the section on the issuer has no %s", language)
	}
	return blocks
}

// TestManual_IssuerConfiguration checks that the shell block of the issuer is valid and complete.
func TestManual_IssuerConfiguration(t *testing.T) {
	inShell := regexp.MustCompile(`\b([A-Z][A-Z0-9_]+)='?([^\s']+)'?`)
	for _, block := range issuerBlocks(t, "sh") {
		vars := make(map[string]string)
		for _, m := range inShell.FindAllStringSubmatch(block, -1) {
			vars[m[1]] = m[2]
		}
		p := newProblems()
		validateIssuer(parse(vars, p), p)
		if err := p.err(); err != nil || len(p.warnings) > 0 {
			t.Errorf("%v, %q\n%s", err, p.warnings, block)
		}
		if vars[variable("CAFile")] != "" {
			t.Error("the CA of the cluster is trusted for STS")
		}
	}
}

// TestManual_IssuerSidecar checks that the settings of the sidecar are valid, and that all volumes
// that it mounts exist.
func TestManual_IssuerSidecar(t *testing.T) {
	setting := regexp.MustCompile(`- \{name: ([A-Z0-9_]+), value: "?([^"}]+)"?\}`)
	mount := regexp.MustCompile(`- \{name: ([a-z-]+), mountPath: ([^,]+),`)
	for _, block := range issuerBlocks(t, "yaml") {
		vars := make(map[string]string)
		for _, m := range setting.FindAllStringSubmatch(block, -1) {
			vars[m[1]] = m[2]
		}
		p := newProblems()
		validate(parse(vars, p), p)
		if err := p.err(); err != nil {
			t.Errorf("%v\n%s", err, block)
		}
		mounts := mount.FindAllStringSubmatch(block, -1)
		for _, m := range mounts {
			if !strings.Contains(block, "  - name: "+m[1]) {
				t.Errorf("the volume %s does not exist", m[1])
			}
		}
		for name, value := range vars {
			mounted := slices.ContainsFunc(mounts, func(m []string) bool { return strings.HasPrefix(value, m[2]+"/") })
			if strings.HasSuffix(name, "_FILE") && !mounted {
				t.Errorf("%s=%s is not mounted", name, value)
			}
		}
	}
}
