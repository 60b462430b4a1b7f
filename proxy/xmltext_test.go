package proxy_test

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"cosproxy/proxy"
)

// One official SDK cuts a message at any character reference but these three.
func TestErrorXML_EscapesThreeCharacters(t *testing.T) {
	for text, want := range map[string]string{
		`it's "a" <b> & c`:       `it's "a" &lt;b&gt; &amp; c`,
		"tab\tline\nend":         "tab\tline\nend",
		"]]>":                    "]]&gt;",
		"目录 \U0001f680":          "目录 \U0001f680",
		"a\x00b\x1bc\x7f":        "a\uFFFDb\uFFFDc\x7f",
		"a\xff\xfeb\xed\xa0\x80": "a\uFFFD\uFFFDb\uFFFD\uFFFD\uFFFD",
		"\uFFFE\uFFFF\uFFFD":     "\uFFFD\uFFFD\uFFFD",
	} {
		if got := proxy.XMLText(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func FuzzErrorXML(f *testing.F) {
	f.Add("it's <a> & \"b\" ]]> \x00\xff\uFFFE\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		escaped := proxy.XMLText(text)
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

// A message with an apostrophe and odd bytes arrives as it was meant.
func TestErrorXML_OverTheWire(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].Prefixes = []string{"dir/*"} }})
	rep := r.get(t, "/it's%00%FF&%3Ca%3E")
	if strings.Contains(rep.body, "&#") || !strings.Contains(rep.body, "it's") {
		t.Errorf("the body is %s", rep.body)
	}
	if doc := rep.cosError(t); !strings.Contains(doc.Message, `it's\x00\xff&<a>`) {
		t.Errorf("the message is %q", doc.Message)
	}
}

// A page of an allowed origin can read why it was refused.
func TestErrorCORS(t *testing.T) {
	for _, tt := range []struct{ name, headers, allowed, vary string }{
		{"allowed", "Origin: https://app.example\r\n", "https://app.example", "Origin"},
		{"spelled differently", "Origin: HTTPS://App.example:443\r\n", "HTTPS://App.example:443", "Origin"},
		{"another site", "Origin: https://evil.example\r\n", "", "Origin"},
		{"two origins", "Origin: https://app.example\r\nOrigin: https://app.example\r\n", "", "Origin"},
		{"only in Referer", "Referer: https://app.example/\r\n", "", "Origin"},
		{"no browser", "", "", "Origin"},
	} {
		for _, line := range []string{"GET /secret", "PUT /secret", "HEAD /secret", "OPTIONS /secret"} {
			t.Run(tt.name+", "+line, func(t *testing.T) {
				r := start(t, setup{options: func(o *proxy.Options) {
					o.AllowedOrigins, o.Routes[0].Prefixes = []string{"https://app.example"}, []string{"dir/*"}
				}})
				rep := r.exchange(t, line+" HTTP/1.1\r\n"+tt.headers+"Content-Length: 0\r\n\r\n")
				if rep.status != 403 || rep.header.Get("Access-Control-Allow-Origin") != tt.allowed || rep.header.Get("Vary") != tt.vary {
					t.Errorf("got\n%s", rep.head)
				}
			})
		}
	}
}

func TestErrorCORS_NothingWithoutAllowedOrigins(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].Prefixes = []string{"dir/*"} }})
	rep := r.exchange(t, "GET /secret HTTP/1.1\r\nOrigin: http://localhost\r\n\r\n")
	if rep.status != 403 || rep.header["Access-Control-Allow-Origin"] != nil || rep.header["Vary"] != nil {
		t.Errorf("got\n%s", rep.head)
	}
}

// Guard's refusals have the same headers.
func TestErrorCORS_Guard(t *testing.T) {
	h := proxy.Guard(nil, nil, []string{"https://app.example"}, given)
	r := httptest.NewRequest(http.MethodGet, "/status", nil)
	r.Host = "localhost"
	r.Header.Set("Origin", "https://app.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}
