package integration_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// styleFiles are the texts that TestStyle reads, as patterns for filepath.Glob.
var styleFiles = []string{
	"../README.md",
	"../cmd/cosproxy/README.md",
	"../integration/BENCHMARKS.md",
	"../CONTRIBUTING.md",
	"../SECURITY.md",
	"../CHANGELOG.md",
	"../cmd/*/*.go",
	"../cmd/cosproxy/manifest/*",
	"../integration/kubernetes/*.go",
	"../integration/s3clients/*.go",
	"../credcache/*.go",
	"../credcache/issuer/*.go",
	"../credcache/smallfile/*.go",
	"../signer/*.go",
	"../proxy/*.go",
	"../proxy/*/*.go",
	"../proxy/internal/*/*.go",
	"../integration/cosemu/*.go",
	"../integration/bench/*.go",
	"../integration/cosemu/README.md",
	"../integration/release/*.go",
}

// styleRules are patterns that are correct English and hard to read in a technical
// text. A space in one is any white space.
var styleRules = []struct{ pattern, instead string }{
	{`stands? still`, "is stalled, is idle"},
	{`stands? (open|in|at|on|behind|beside|between|above|apart|ready)`, "is"},
	{`anew`, "again; reload, repeat"},
	{`beside`, "in addition to, next to"},
	{`on (the|its|their) way`, "in transit, before, during"},
	{`(is|are) no [a-z]+ of`, "is not a; unknown"},
	{`who(ever)? (asks?|is|has|reads?|stands?|sends?|reaches|can|waits?|may)`, "clients that, callers that; a noun as the subject"},
	{`(?-i:[Nn]obody)|no one`, "a noun, and the verb with not; the passive voice"},
	{`none that`, "not a; no such"},
	{`let(s|ting)? ([a-z]+ )?in`, "allow, accept"},
	{`mend(s|ed|ing)?`, "recover, repair"},
	{`passing faults?`, "transient errors"},
	{`(behaviou|honou|colou|neighbou)r[a-z]*|(cancel|label|dial|signal)l(ed|ing)|defences?|licences?|catalogue|[a-z]+(al|gan|horis|gnis)ise[ds]?|authorisation`, "US spelling"},
	{`long-lived pairs?`, "long-lived key pair"},
}

// TestStyle holds the worst patterns out of documents, comments and messages. What is
// between <!-- style:off --> and <!-- style:on --> may have them, as examples.
func TestStyle(t *testing.T) {
	for _, pattern := range styleFiles {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range findStyle(string(text)) {
				t.Errorf("%s:%d: %q; instead: %s", strings.TrimPrefix(name, "../"), found.line, found.text, found.instead)
			}
		}
	}
}

func TestFindStyle(t *testing.T) {
	for text, want := range map[string]string{
		"the body stands still":                         "stands still",
		"It is Read\n\t// Anew when it changes.":        "Anew",
		"// cosproxy is no\n// setting of cosproxy":     "is no // setting of",
		"Who\nreads slowly":                             "Who reads",
		"lets clients in":                               "lets clients in",
		"undefined behaviour, authorized":               "behaviour",
		"a long-lived\npair":                            "long-lived pair",
		"a renewed file, besides, whose reader has one": "",
		"http.NoBody":                                   "",
		"<!-- style:off -->\nanew\n<!-- style:on -->\n": "",
	} {
		got := ""
		if found := findStyle(text); len(found) > 0 {
			got = found[0].text
		}
		if want = strings.ReplaceAll(want, "// ", ""); got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
	if found := findStyle("a\n<!-- style:off -->\nanew\n<!-- style:on -->\nb\nanew"); len(found) != 1 || found[0].line != 6 {
		t.Errorf("%v, want one on line 6", found)
	}
}

// styleFound is a place where a text has a pattern of styleRules.
type styleFound struct {
	line          int // from 1
	text, instead string
}

var (
	styleOff  = regexp.MustCompile(`(?s)<!-- style:off -->.*?<!-- style:on -->`)
	lineStart = regexp.MustCompile(`\n[\t ]*(//)?`)
	blank     = regexp.MustCompile(`[^\n]`)
)

func findStyle(text string) (all []styleFound) {
	// Offsets stay, so that they give the line.
	text = styleOff.ReplaceAllStringFunc(text, func(s string) string { return blank.ReplaceAllString(s, " ") })
	joined := lineStart.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat(" ", len(s)) })
	for _, rule := range styleRules {
		words := regexp.MustCompile(`(?i)\b(` + strings.ReplaceAll(rule.pattern, " ", `\s+`) + `)\b`)
		for _, at := range words.FindAllStringIndex(joined, -1) {
			all = append(all, styleFound{
				line: 1 + strings.Count(text[:at[0]], "\n"), text: strings.Join(strings.Fields(joined[at[0]:at[1]]), " "),
				instead: rule.instead,
			})
		}
	}
	return all
}
