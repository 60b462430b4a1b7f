package coserr

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"
)

// One official SDK truncates a message at any character reference except these three.
func TestDocument_EscapesThreeCharacters(t *testing.T) {
	for text, want := range map[string]string{
		`it's "a" <b> & c`:       `it's "a" &lt;b&gt; &amp; c`,
		"tab\tline\nend":         "tab\tline\nend",
		"]]>":                    "]]&gt;",
		"目录 \U0001f680":          "目录 \U0001f680",
		"a\x00b\x1bc\x7f":        "a\uFFFDb\uFFFDc\x7f",
		"a\xff\xfeb\xed\xa0\x80": "a\uFFFD\uFFFDb\uFFFD\uFFFD\uFFFD",
		"\uFFFE\uFFFF\uFFFD":     "\uFFFD\uFFFD\uFFFD",
	} {
		if got := escape(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("it's <a> & \"b\" ]]> \x00\xff\uFFFE\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		escaped := escape(text)
		var doc struct {
			Text string `xml:",chardata"`
		}
		decoder := xml.NewDecoder(strings.NewReader("<a>" + escaped + "</a>"))
		if err := decoder.Decode(&doc); err != nil || !utf8.ValidString(escaped) {
			t.Fatalf("%q is %q: %v", text, escaped, err)
		}
		var other bytes.Buffer
		if err := xml.EscapeText(&other, []byte(text)); err != nil {
			t.Fatal(err)
		}
		var want struct {
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte("<a>"+other.String()+"</a>"), &want); err != nil {
			t.Fatal(err)
		}
		newline := strings.NewReplacer("\r\n", "\n", "\r", "\n") // a reader of XML does so with raw ones
		if doc.Text != newline.Replace(want.Text) {
			t.Errorf("%q reads as %q, want %q", text, doc.Text, want.Text)
		}
	})
}

func TestError_Text(t *testing.T) {
	name := func(s Setting) string { return strings.ToUpper(s.Route + "_" + s.Name) }
	for want, e := range map[string]*Error{
		"No.":                     New(400, "Code", "%s.", "No"),
		"No. Raise _A.":           New(400, "Code", "No.").Try("Raise", Setting{Name: "a"}),
		"No. Raise _A or R_B.":    New(400, "Code", "No.").Try("Raise", Setting{Name: "a"}, Setting{"r", "b"}),
		"No. Raise _A, _B or _C.": New(400, "Code", "No.").Try("Raise", Setting{Name: "a"}, Setting{Name: "b"}, Setting{Name: "c"}),
	} {
		if got := e.Text(name); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := New(400, "Code", "No.").Try("Raise", Setting{"r", "b"}).Error(); got != "Code: No. Raise b." {
		t.Errorf("without names: %q", got)
	}
}

func TestDocument_IsParsed(t *testing.T) {
	d := Document{Code: "AccessDenied", Message: "it's <a> & b", Resource: "h/k", RequestID: "id"}
	got, ok := Parse(d.Bytes())
	got.XMLName = xml.Name{}
	if !ok || got != d {
		t.Errorf("%v %+v", ok, got)
	}
	if _, ok := Parse([]byte("<html>")); ok {
		t.Error("a page is taken for an error document")
	}
}
