package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestQuote(t *testing.T) {
	for _, tt := range []struct{ value, yaml, dollar, systemd, shell string }{
		{`uploads/*`, `"uploads/*"`, `"uploads/*"`, `"uploads/*"`, `'uploads/*'`},
		{`a: b #c`, `"a: b #c"`, `"a: b #c"`, `"a: b #c"`, `'a: b #c'`},
		{`say "hi"`, `"say \"hi\""`, `"say \"hi\""`, `"say \"hi\""`, `'say "hi"'`},
		{`it's`, `"it's"`, `"it's"`, `"it's"`, `'it'\''s'`},
		{`$HOME ${A} $(B)`, `"$HOME ${A} $(B)"`, `"$$HOME $${A} $$(B)"`, `"$HOME ${A} $(B)"`, `'$HOME ${A} $(B)'`},
		{`100%d`, `"100%d"`, `"100%d"`, `"100%%d"`, `100%d`},
		{`a\b`, `"a\\b"`, `"a\\b"`, `"a\\b"`, `'a\b'`},
		{`腾讯云`, `"腾讯云"`, `"腾讯云"`, `"腾讯云"`, `'腾讯云'`},
		{"a\u200bb", `"a\u200bb"`, `"a\u200bb"`, `"a\u200bb"`, "'a\u200bb'"},
		{``, `""`, `""`, `""`, `''`},
	} {
		for _, got := range [][2]string{
			{quoteYAML(tt.value), tt.yaml}, {quoteKubernetes(tt.value), tt.dollar}, {quoteCompose(tt.value), tt.dollar},
			{quoteSystemd(tt.value), tt.systemd}, {quoteShell(tt.value), tt.shell},
		} {
			if got[0] != got[1] {
				t.Errorf("%q: got %s, want %s", tt.value, got[0], got[1])
			}
		}
	}
}

func TestCheckQuotable(t *testing.T) {
	for _, value := range []string{"a\nb", "a\rb", "a\x00b", "a\tb", "a\x7fb", "a\u0085b", "a\u2028b", "a\u2029b", "a\ufeffb",
		"a\ufdd0b", "a\ufffeb", "a\uffffb", "a\U0001fffeb", "a\xffb"} {
		if checkQuotable(value) == nil {
			t.Errorf("%q is accepted", value)
		}
	}
	for _, value := range []string{"", "a b", "腾讯云 🙂 👩\u200d💻", "a\u00a0b\ufffd", `"'\$%#: *`} {
		if err := checkQuotable(value); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestQuoteQuadlet(t *testing.T) {
	if got, want := quoteQuadlet(`A=${B} $C 1% "d"`), `"A=$${B} $$C 1%% \"d\""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := escapeQuadlet(`/a $b/1%`), `/a $$b/1%%`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzQuoteSystemd decodes quoted values as systemd does.
func FuzzQuoteSystemd(f *testing.F) {
	for _, value := range []string{`a"b\c%d$e#f`, "腾讯云\u200b\u00ad🙂", " a ", `\x41\u00e4`} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if checkQuotable(value) != nil {
			return
		}
		quoted := quoteSystemd(value)
		if got, ok := unquoteSystemd(quoted); !ok || got != value {
			t.Errorf("%q becomes %s, which systemd reads as %q, %v", value, quoted, got, ok)
		}
		if got, ok := unquoteYAML(quoteYAML(value)); !ok || got != value {
			t.Errorf("%q becomes %s, which YAML reads as %q, %v", value, quoteYAML(value), got, ok)
		}
	})
}

// unquoteSystemd decodes one double-quoted item: systemd.syntax(7), Quoting, and then
// systemd.unit(5), Specifiers.
func unquoteSystemd(quoted string) (value string, ok bool) {
	value, ok = unescape(quoted, map[byte]string{'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", '\\': "\\", '"': `"`, '\'': "'", 's': " "})
	return strings.ReplaceAll(value, "%%", "%"), ok && strings.Count(value, "%") == 2*strings.Count(value, "%%")
}

// unquoteYAML decodes a double-quoted scalar on one line (YAML 1.2, 5.7).
func unquoteYAML(quoted string) (value string, ok bool) {
	return unescape(quoted, map[byte]string{'0': "\x00", 'a': "\a", 'b': "\b", 'e': "\x1b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
		'\\': "\\", '"': `"`, '/': "/", ' ': " ", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029"})
}

// unescape decodes a double-quoted text with these escapes, \xNN, \uNNNN and \UNNNNNNNN.
func unescape(quoted string, escapes map[byte]string) (value string, ok bool) {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return "", false
	}
	var b strings.Builder
	for rest := quoted[1 : len(quoted)-1]; rest != ""; {
		before, after, found := strings.Cut(rest, `\`)
		b.WriteString(before)
		if strings.Contains(before, `"`) || found && after == "" {
			return "", false
		}
		if !found {
			break
		}
		length := map[byte]int{'x': 2, 'u': 4, 'U': 8}[after[0]]
		text := escapes[after[0]]
		if len(after) <= length || length == 0 && text == "" {
			return "", false
		}
		if length > 0 {
			r := rune(0)
			for _, digit := range []byte(after[1 : 1+length]) {
				r = r<<4 + rune(strings.IndexByte("0123456789abcdef", digit))
			}
			if !utf8.ValidRune(r) {
				return "", false
			}
			text = string(r)
		}
		b.WriteString(text)
		rest = after[1+length:]
	}
	return b.String(), true
}
