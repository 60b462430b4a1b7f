package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// functions returns the functions of the templates. checkTemplates checks their arguments.
func (t manifestTemplates) functions() map[string]any {
	return map[string]any{
		"yaml":        quoteYAML,
		"kube":        quoteKubernetes,
		"compose":     quoteCompose,
		"systemd":     quoteSystemd,
		"unit":        escapeSystemd,
		"quadlet":     quoteQuadlet,
		"volume":      escapeQuadlet,
		"shell":       quoteShell,
		"uncommented": uncommented,
		"indent":      indent,
		"include":     func(name string, m *manifest) string { return t.render(name, m) },
		// As in text/template.
		"print": func(parts ...string) string { return strings.Join(parts, "") },
		"eq":    func(a, b string) bool { return a == b },
		"ne":    func(a, b string) bool { return a != b },
		"not":   func(a any) bool { return !isTrue(a) },
		"and":   func(a, b any) bool { return isTrue(a) && isTrue(b) },
		"or":    func(a, b any) bool { return isTrue(a) || isTrue(b) },
	}
}

// checkQuotable returns an error if a value cannot be printed in all formats. Some values are
// printed in comments, too, where no format can escape a character.
func checkQuotable(value string) error {
	switch {
	case !utf8.ValidString(value):
		return fmt.Errorf("is not valid UTF-8")
	case strings.ContainsFunc(value, breaksFile):
		return fmt.Errorf("contains a line break, another control character, a byte order mark or a noncharacter")
	}
	return nil
}

// breaksFile reports whether a character ends a line or makes a file invalid. U+0085, U+2028
// and U+2029 are line breaks in YAML 1.1 (4.2), which most parsers implement, so the rest of
// a comment would be content. YAML 1.2 (5.1, 5.2) forbids control characters, U+FFFE and U+FFFF,
// and a byte order mark within a document. systemd ignores lines with any noncharacter.
func breaksFile(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) || r == '\ufeff'
}

// quoteYAML returns a double-quoted scalar. For values that pass checkQuotable, the
// escapes of Go are a subset of those of YAML 1.2 (5.7).
func quoteYAML(value string) string { return strconv.Quote(value) }

// quoteKubernetes returns a scalar for the value of an environment variable in a pod,
// where $(NAME) refers to another variable and $$ is a dollar sign.
func quoteKubernetes(value string) string {
	return quoteYAML(strings.ReplaceAll(value, "$", "$$"))
}

// quoteCompose returns a scalar for a Compose file, where $NAME and ${NAME} are replaced
// by variables and $$ is a dollar sign.
func quoteCompose(value string) string {
	return quoteYAML(strings.ReplaceAll(value, "$", "$$"))
}

// quoteSystemd returns a quoted item of a list such as Environment= (systemd.syntax(7),
// Quoting). % starts a specifier there, and %% is a percent sign.
func quoteSystemd(value string) string {
	return strconv.Quote(strings.ReplaceAll(value, "%", "%%"))
}

// quoteQuadlet returns a quoted item of Environment= in a .container unit. Podman copies it
// to ExecStart=, where ${NAME} refers to a variable and $$ is a dollar sign (systemd.service(5),
// Command Lines).
func quoteQuadlet(value string) string {
	return quoteSystemd(strings.ReplaceAll(value, "$", "$$"))
}

// escapeQuadlet returns a value for settings of .container units that are not quoted and
// that Podman copies to ExecStart=, such as Volume=.
func escapeQuadlet(value string) string {
	return escapeSystemd(strings.ReplaceAll(value, "$", "$$"))
}

// escapeSystemd returns a value for settings of units that are not quoted, such as
// ListenStream=.
func escapeSystemd(value string) string { return strings.ReplaceAll(value, "%", "%%") }

// quoteShell returns a word of a command line in a comment.
func quoteShell(word string) string {
	plain := func(r rune) bool {
		return !strings.ContainsRune("/.,:=@%+_-", r) && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	}
	if word != "" && !strings.ContainsFunc(word, plain) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// indent indents every line but empty ones.
func indent(n int, text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", n) + line
		}
	}
	return strings.Join(lines, "\n")
}

// uncommented removes comments that are alone on their lines.
func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}
