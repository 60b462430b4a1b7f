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

// TestManual_IssuerConfiguration: the settings of the shell block of the issuer are valid.
func TestManual_IssuerConfiguration(t *testing.T) {
	inShell := regexp.MustCompile(`\b(COSPROXY_[A-Z0-9_]+)='?([^\s']+)'?`)
	checked := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readText(t, manual), -1) {
		if !strings.Contains(block[1], "_CALLERS=") {
			continue
		}
		vars := map[string]string{
			"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key", "COSPROXY_ROLE_ARN": "qcs::cam::uin/100000000001:roleName/cosproxy",
		}
		for _, m := range inShell.FindAllStringSubmatch(block[1], -1) {
			vars[m[1]] = m[2]
		}
		p := newProblems()
		validateIssuer(parse(vars, p), p)
		if err := p.err(); err != nil || len(p.warnings) > 0 {
			t.Errorf("%v, %q\n%s", err, p.warnings, block[1])
		}
		checked++
	}
	if checked == 0 {
		t.Error("the manual has no configuration of an issuer")
	}
}
