package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/credcache"
)

const (
	manual = "README.md"
	readme = "../../README.md"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// manualTable returns the rows of the table of the manual between the markers with this
// name, as trimmed cells.
func manualTable(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	_, rest, ok := strings.Cut(readText(t, manual), "<!-- "+name+":begin -->\n")
	table, _, ok2 := strings.Cut(rest, "<!-- "+name+":end -->")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if !ok || !ok2 || len(lines) < 3 {
		t.Fatalf("%s lacks the table %s", manual, name)
	}
	for _, line := range lines[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// compare reports what only one of two lists has.
func compare(t *testing.T, documented, actual []string) {
	t.Helper()
	for _, one := range actual {
		if !slices.Contains(documented, one) {
			t.Errorf("%s lacks %s", manual, one)
		}
	}
	for _, one := range documented {
		if !slices.Contains(actual, one) {
			t.Errorf("%s has %s, which does not exist", manual, one)
		}
	}
}

func TestManual_Metrics(t *testing.T) {
	cfg, err := loadConfig(append(oneRoute(), "TENCENTCLOUD_SECRET_ID=id", "TENCENTCLOUD_SECRET_KEY=key"))
	if err != nil {
		t.Fatal(err)
	}
	ways := newTransports(cfg)
	defer ways.close()
	s, err := newSidecar(cfg, slog.New(slog.DiscardHandler), ways)
	if err != nil {
		t.Fatal(err)
	}
	defer s.proxy.Close()
	lines := newLogQueue(io.Discard)
	defer lines.close()
	s.registry.MustRegister(lines.metric())

	descs := make(chan *prometheus.Desc, 1000)
	s.registry.Describe(descs)
	close(descs)
	pattern := regexp.MustCompile(`fqName: "(cosproxy_[^"]+)".*variableLabels: \{([^}]*)\}`)
	var actual []string
	for desc := range descs {
		if m := pattern.FindStringSubmatch(desc.String()); m != nil {
			actual = append(actual, m[1]+"{"+m[2]+"}")
		}
	}
	var documented []string
	for _, row := range manualTable(t, "metrics") {
		name, labels := strings.Trim(row[0], "`"), strings.ReplaceAll(strings.ReplaceAll(row[2], "`", ""), ", ", ",")
		documented = append(documented, name+"{"+labels+"}")
		if counter := strings.HasSuffix(name, "_total"); counter != (row[1] == "counter") {
			t.Errorf("%s is not a %s", name, row[1])
		}
		if !strings.Contains(row[4], name) || !strings.HasSuffix(row[4], "`") {
			t.Errorf("%s has no example query", name)
		}
	}
	compare(t, documented, actual)
}

// TestManual_LogFields compares the manual with the golden log of package proxy.
func TestManual_LogFields(t *testing.T) {
	var documented, actual []string
	for _, row := range manualTable(t, "fields") {
		documented = append(documented, strings.Trim(row[0], "`"))
	}
	for _, m := range regexp.MustCompile(` ([a-z_.]+)=`).FindAllStringSubmatch(readText(t, "../../proxy/testdata/access.log"), -1) {
		if name := m[1]; strings.Contains(name, ".") && !slices.Contains(actual, name) {
			actual = append(actual, name)
		}
	}
	compare(t, documented, actual)
}

// TestManual_Errors compares the manual with the calls of coserr.New and the values of
// coserr.Error in the code. A status that is not a constant is not compared.
func TestManual_Errors(t *testing.T) {
	statuses := map[string][]string{} // by code
	err := filepath.WalkDir("../../proxy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if status, code := errorIn(n); code != "" {
				statuses[code] = append(statuses[code], status)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for _, row := range manualTable(t, "errors") {
		code := strings.Trim(row[1], "`")
		documented[code] = append(documented[code], row[0])
	}
	for code, used := range statuses {
		for _, status := range used {
			if status != "" && !slices.Contains(documented[code], status) || len(documented[code]) == 0 {
				t.Errorf("%s lacks %s %s", manual, status, code)
			}
		}
	}
	for code, listed := range documented {
		for _, status := range listed {
			if !slices.Contains(statuses[code], status) && !slices.Contains(statuses[code], "") {
				t.Errorf("%s has %s %s, which does not exist", manual, status, code)
			}
		}
	}
}

// errorIn returns status and code of an error that n creates; code is empty if it creates
// none, and status if it is not a constant.
func errorIn(n ast.Node) (status, code string) {
	var statusExpr, codeExpr ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		if name(n.Fun) == "coserr.New" && len(n.Args) >= 3 {
			statusExpr, codeExpr = n.Args[0], n.Args[1]
		}
	case *ast.CompositeLit:
		if name(n.Type) != "coserr.Error" {
			return "", ""
		}
		for _, e := range n.Elts {
			switch kv, _ := e.(*ast.KeyValueExpr); {
			case kv == nil:
			case name(kv.Key) == "Status":
				statusExpr = kv.Value
			case name(kv.Key) == "Code":
				codeExpr = kv.Value
			}
		}
	}
	if lit, ok := codeExpr.(*ast.BasicLit); ok {
		code, _ = strconv.Unquote(lit.Value)
	}
	return statusNames[name(statusExpr)], code
}

// statusNames maps constants of package http, such as http.StatusNotFound, to statuses.
var statusNames = func() map[string]string {
	names := map[string]string{}
	for status := 400; status < 600; status++ {
		text := strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(status))
		names["http.Status"+text] = strconv.Itoa(status)
	}
	return names
}()

// name returns an identifier, or the form package.Name.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return name(e.X) + "." + e.Sel.Name
	}
	return ""
}

// TestManual_Presets checks that the table of the manual has every preset.
func TestManual_Presets(t *testing.T) {
	text := readText(t, manual)
	for _, preset := range []string{"read", "list", "upload", "write", "delete", "acl"} {
		if _, err := credcache.ExpandActions([]string{preset}); err != nil || !strings.Contains(text, "\n| `"+preset+"` | ") {
			t.Errorf("%s lacks the preset %s, or it does not exist: %v", manual, preset, err)
		}
	}
}

// TestDocuments_Settings: documents contain only variables that exist.
func TestDocuments_Settings(t *testing.T) {
	known := map[string]bool{}
	for _, s := range slices.Concat(settings(), numberedSettings()) {
		known[s.variable] = true
	}
	for _, path := range []string{readme, manual} {
		for _, variable := range regexp.MustCompile(`\b(COSPROXY|TENCENTCLOUD|TKE)_[A-Z0-9_<>n]+`).FindAllString(readText(t, path), -1) {
			numbered := regexp.MustCompile(`_ROUTES_\d_`).ReplaceAllString(variable, "_ROUTES_<n>_")
			if !known[numbered] {
				t.Errorf("%s has %s, which does not exist", path, variable)
			}
		}
	}
}

// TestDocuments_Configurations: the settings of every shell block and of the pod are
// valid. Files do not exist here.
func TestDocuments_Configurations(t *testing.T) {
	inShell := regexp.MustCompile(`\b((?:COSPROXY|TENCENTCLOUD)_[A-Z0-9_]+)='?([^\s']+)'?`)
	inPod := regexp.MustCompile(`name: ((?:COSPROXY)_[A-Z0-9_]+), value: "?([^"}]+)"?}`)
	tke := []string{"TKE_REGION=ap-guangzhou", "TKE_PROVIDER_ID=cls-examplex", "TKE_WEB_IDENTITY_TOKEN_FILE=/token", "TKE_ROLE_ARN=qcs::cam::uin/100000000001:roleName/app"}
	checked := 0
	for _, path := range []string{readme, manual} {
		for _, block := range regexp.MustCompile("(?s)```(sh|yaml)\n(.*?)```").FindAllStringSubmatch(readText(t, path), -1) {
			pattern := inShell
			if block[1] == "yaml" {
				pattern = inPod
			}
			var environ []string
			for _, m := range pattern.FindAllStringSubmatch(block[2], -1) {
				environ = append(environ, m[1]+"="+m[2])
			}
			switch {
			case len(environ) == 0 || strings.Contains(block[2], "_CALLERS="): // TestManual_IssuerConfiguration has the others
				continue
			case !strings.Contains(block[2], "_BUCKET"): // it completes another block
				environ = append(environ, oneRoute()...)
			}
			environ = append(environ, tke...)
			checked++
			vars := map[string]string{}
			for _, e := range environ {
				key, value, _ := strings.Cut(e, "=")
				vars[key] = value
			}
			if strings.Contains(block[2], "_SOURCE=role") { // the text refers to the pair of another block
				vars["TENCENTCLOUD_SECRET_ID"], vars["TENCENTCLOUD_SECRET_KEY"] = "id", "key"
				vars["COSPROXY_ROLE_ARN"] = "qcs::cam::uin/100000000001:roleName/cosproxy"
			}
			p := newProblems()
			validate(parse(vars, p), p)
			if err := p.err(); err != nil {
				t.Errorf("%s: %v\n%s", path, err, block[2])
			}
		}
	}
	if checked < 4 {
		t.Errorf("only %d blocks have settings", checked)
	}
}

func oneRoute() []string {
	return []string{"COSPROXY_BUCKET=examplebucket-1250000000", "COSPROXY_REGION=ap-guangzhou", "COSPROXY_ALLOW_PREFIXES=uploads/*", "COSPROXY_ALLOW_ACTIONS=read"}
}

// TestDocuments_Links: links lead to files and headings that exist.
func TestDocuments_Links(t *testing.T) {
	for _, path := range []string{readme, manual} {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`).FindAllStringSubmatch(readText(t, path), -1) {
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(readText(t, target)), m[2]) {
				t.Errorf("%s: %s has no heading %s", path, target, m[2])
			}
		}
	}
}

// anchors returns the anchors of the headings, as GitHub forms them.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		heading := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, "#"+strings.ReplaceAll(heading, " ", "-"))
	}
	return all
}

// TestReadme_Figures: the figures of the README are those of BENCHMARKS.md.
func TestReadme_Figures(t *testing.T) {
	benchmarks := readText(t, "../../integration/BENCHMARKS.md")
	_, section, _ := strings.Cut(readText(t, readme), "\n## Performance\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile(`(?m)^\| .*\d.*$`).FindAllString(section, -1)
	if len(rows) < 3 {
		t.Fatalf("only %d figures", len(rows))
	}
	for _, row := range rows {
		if !strings.Contains(benchmarks, row+"\n") {
			t.Errorf("BENCHMARKS.md lacks %s", row)
		}
	}
}
