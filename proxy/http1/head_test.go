package http1

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var testLimits = Limits{}.withDefaults()

// readRequest reads one request head from text, one byte per Read if bytewise is set.
func readRequest(text string, limits Limits, bytewise bool) (*RequestHead, *reader, error) {
	var src io.Reader = strings.NewReader(text)
	if bytewise {
		src = iotest.OneByteReader(src)
	}
	r := &reader{src: src}
	raw, err := r.readHead(nil, limits, maxEmptyLines)
	if err != nil {
		return nil, r, err
	}
	h := &RequestHead{Head: Head{raw: raw}}
	return h, r, h.parse(limits)
}

// lines joins lines to a head.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }

func TestRequestHead_Invalid(t *testing.T) {
	const host = "Host: localhost"
	for _, tt := range []struct {
		name string
		text string
		want Rule
	}{
		{"both lengths", lines("PUT / HTTP/1.1", host, "Content-Length: 5", "Transfer-Encoding: chunked"), RuleTwoLengths},
		{"both lengths, other order", lines("PUT / HTTP/1.1", host, "Transfer-Encoding: chunked", "Content-Length: 5"), RuleTwoLengths},
		{"two lengths", lines("PUT / HTTP/1.1", host, "Content-Length: 5", "Content-Length: 6"), RuleContentLength},
		{"the same length twice and another", lines("PUT / HTTP/1.1", host, "Content-Length: 5", "content-length: 5", "Content-Length: 4"), RuleContentLength},
		{"equal numbers, written differently", lines("PUT / HTTP/1.1", host, "Content-Length: 5", "Content-Length: 05"), RuleContentLength},
		{"equal lengths and chunks", lines("PUT / HTTP/1.1", host, "Content-Length: 5", "Content-Length: 5", "Transfer-Encoding: chunked"), RuleTwoLengths},
		{"a list of lengths", lines("PUT / HTTP/1.1", host, "Content-Length: 5, 5"), RuleContentLength},
		{"a signed length", lines("PUT / HTTP/1.1", host, "Content-Length: +5"), RuleContentLength},
		{"a negative length", lines("PUT / HTTP/1.1", host, "Content-Length: -5"), RuleContentLength},
		{"a hexadecimal length", lines("PUT / HTTP/1.1", host, "Content-Length: 0x5"), RuleContentLength},
		{"an empty length", lines("PUT / HTTP/1.1", host, "Content-Length:"), RuleContentLength},
		{"a length beyond 63 bits", lines("PUT / HTTP/1.1", host, "Content-Length: 9223372036854775808"), RuleContentLength},
		{"a length with a space", lines("PUT / HTTP/1.1", host, "Content-Length: 5 5"), RuleContentLength},
		{"another coding", lines("PUT / HTTP/1.1", host, "Transfer-Encoding: gzip"), RuleCoding},
		{"two codings", lines("PUT / HTTP/1.1", host, "Transfer-Encoding: gzip, chunked"), RuleCoding},
		{"chunked twice", lines("PUT / HTTP/1.1", host, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), RuleCoding},
		{"chunked with a parameter", lines("PUT / HTTP/1.1", host, "Transfer-Encoding: chunked;q=1"), RuleCoding},
		{"identity", lines("PUT / HTTP/1.1", host, "Transfer-Encoding: identity"), RuleCoding},
		{"an empty coding", lines("PUT / HTTP/1.1", host, "Transfer-Encoding:"), RuleCoding},
		{"a coding with a vertical tab", lines("PUT / HTTP/1.1", host, "Transfer-Encoding: \x0bchunked"), RuleFieldValue},
		{"chunked in quotes", lines("PUT / HTTP/1.1", host, `Transfer-Encoding: "chunked"`), RuleCoding},
		{"a coding in HTTP/1.0", lines("PUT / HTTP/1.0", "Transfer-Encoding: chunked"), RuleOldCoding},
		{"obs-fold", lines("GET / HTTP/1.1", host, "X: a", " b"), RuleFolding},
		{"obs-fold with a tab", lines("GET / HTTP/1.1", host, "X: a", "\tb"), RuleFolding},
		{"a space before the first field", lines("GET / HTTP/1.1", " "+host), RuleFolding},
		{"a space before the colon", lines("GET / HTTP/1.1", "Host : localhost"), RuleFieldName},
		{"a tab before the colon", lines("GET / HTTP/1.1", host, "Content-Length\t: 5"), RuleFieldName},
		{"no colon", lines("GET / HTTP/1.1", host, "X"), RuleFieldName},
		{"no name", lines("GET / HTTP/1.1", host, ": x"), RuleFieldName},
		{"a name beyond ASCII", lines("GET / HTTP/1.1", host, "Tränsfer: x"), RuleFieldName},
		{"NUL in a name", lines("GET / HTTP/1.1", host, "X\x00: x"), RuleFieldName},
		{"NUL in a value", lines("GET / HTTP/1.1", host, "X: a\x00b"), RuleFieldValue},
		{"a bare CR in a value", lines("GET / HTTP/1.1", host, "X: a\rContent-Length: 5"), RuleFieldValue},
		{"DEL in a value", lines("GET / HTTP/1.1", host, "X: \x7f"), RuleFieldValue},
		{"an escape in a value", lines("GET / HTTP/1.1", host, "X: \x1b[2J"), RuleFieldValue},
		{"a bare LF after the request line", "GET / HTTP/1.1\n" + host + "\r\n\r\n", RuleLineEnd},
		{"a bare LF after a field", "GET / HTTP/1.1\r\n" + host + "\n\r\n", RuleLineEnd},
		{"a bare LF at the end", "GET / HTTP/1.1\r\n" + host + "\r\n\n", RuleLineEnd},
		{"bare LFs alone", "GET / HTTP/1.0\n\n", RuleLineEnd},
		{"a bare CR at the end of the request line", "GET / HTTP/1.1\r\r\n" + host + "\r\n\r\n", RuleVersion},
		{"no Host", lines("GET / HTTP/1.1", "X: y"), RuleHost},
		{"two Hosts", lines("GET / HTTP/1.1", host, host), RuleHost},
		{"two Hosts in HTTP/1.0", lines("GET / HTTP/1.0", host, host), RuleHost},
		{"a Host with a path", lines("GET / HTTP/1.1", "Host: localhost/x"), RuleHost},
		{"a Host with a user", lines("GET / HTTP/1.1", "Host: a@localhost"), RuleHost},
		{"a Host with a space", lines("GET / HTTP/1.1", "Host: localhost evil"), RuleHost},
		{"HTTP/1.2", lines("GET / HTTP/1.2", host), RuleVersion},
		{"HTTP/2.0", lines("GET / HTTP/2.0", host), RuleVersion},
		{"HTTP/0.9", lines("GET / HTTP/0.9", host), RuleVersion},
		{"no number", lines("GET / HTTP/1", host), RuleVersion},
		{"http/1.1", lines("GET / http/1.1", host), RuleVersion},
		{"a version with zeros", lines("GET / HTTP/01.1", host), RuleVersion},
		{"no version", lines("GET /", host), RuleRequestLine},
		{"no target", lines("GET HTTP/1.1", host), RuleRequestLine},
		{"two spaces", lines("GET  / HTTP/1.1", host), RuleRequestLine},
		{"a space in the target", lines("GET /a b HTTP/1.1", host), RuleRequestLine},
		{"a tab in the target", lines("GET /a\tb HTTP/1.1", host), RuleRequestLine},
		{"a tab instead of a space", lines("GET\t/ HTTP/1.1", host), RuleRequestLine},
		{"a NUL in the target", lines("GET /\x00 HTTP/1.1", host), RuleRequestLine},
		{"a space at the end", lines("GET / HTTP/1.1 ", host), RuleRequestLine},
		{"a space at the beginning", lines(" GET / HTTP/1.1", host), RuleRequestLine},
		{"a method that is not a token", lines("GE(T / HTTP/1.1", host), RuleRequestLine},
		{"three empty lines before the request line", "\r\n\r\n\r\n" + lines("GET / HTTP/1.1", host), RuleRequestLine},
		{"another expectation", lines("PUT / HTTP/1.1", host, "Expect: 200-maybe"), RuleExpect},
		{"two expectations", lines("PUT / HTTP/1.1", host, "Expect: 100-continue", "Expect: 100-continue"), RuleExpect},
		{"an incomplete request line", "GET / HT", RuleCut},
		{"an incomplete field", "GET / HTTP/1.1\r\nHost: local", RuleCut},
		{"a head without the empty line", "GET / HTTP/1.1\r\nHost: localhost\r\n", RuleCut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, bytewise := range []bool{false, true} {
				_, _, err := readRequest(tt.text, testLimits, bytewise)
				var got Error
				if !errors.As(err, &got) || got.Rule != tt.want {
					t.Errorf("bytewise %v: got %v, want rule %s", bytewise, err, tt.want)
				}
			}
		})
	}
}

func TestRequestHead_Limits(t *testing.T) {
	limits := Limits{HeadBytes: 200, LineBytes: 50, Fields: 3}
	for _, tt := range []struct {
		name string
		text string
		want Rule // "": valid
	}{
		{"longest line", lines("GET /"+strings.Repeat("a", 50-len("GET / HTTP/1.1"))+" HTTP/1.1", "Host: a"), ""},
		{"one byte more", lines("GET /"+strings.Repeat("a", 51-len("GET / HTTP/1.1"))+" HTTP/1.1", "Host: a"), RuleLineTooLong},
		{"a line without an end", "GET /" + strings.Repeat("a", 5000), RuleLineTooLong},
		{"most fields", lines("GET / HTTP/1.1", "Host: a", "B: b", "C: c"), ""},
		{"one field more", lines("GET / HTTP/1.1", "Host: a", "B: b", "C: c", "D: d"), RuleHeadTooLarge},
		{"largest head", lines("GET / HTTP/1.1", "Host: a", "B: "+strings.Repeat("b", 200-len("GET / HTTP/1.1\r\nHost: a\r\nB: \r\n\r\n"))), ""},
		{"a larger head", lines("GET / HTTP/1.1", "Host: a", "B: "+strings.Repeat("b", 200)), RuleHeadTooLarge},
		{"a head without an end", "GET / HTTP/1.1\r\nB: " + strings.Repeat("b", 5000), RuleHeadTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, bytewise := range []bool{false, true} {
				_, _, err := readRequest(tt.text, limits, bytewise)
				var got Error
				errors.As(err, &got)
				if got.Rule != tt.want || err != nil && tt.want == "" {
					t.Errorf("bytewise %v: got %v, want rule %q", bytewise, err, tt.want)
				}
			}
		})
	}
}

func TestRequestHead_Valid(t *testing.T) {
	for _, tt := range []struct {
		name   string
		text   string
		length int64
		close  bool
		expect bool
	}{
		{"GET", lines("GET / HTTP/1.1", "Host: localhost"), 0, false, false},
		{"two empty lines first", "\r\n\r\n" + lines("GET / HTTP/1.1", "Host: localhost"), 0, false, false},
		{"an empty Host", lines("GET / HTTP/1.1", "Host:"), 0, false, false},
		{"a length", lines("PUT / HTTP/1.1", "Host: [::1]:80", "Content-Length:\t05 "), 5, false, false},
		{"the largest length", lines("PUT / HTTP/1.1", "Host: a", "Content-Length: 999999999999999999"), 999999999999999999, false, false},
		{"chunked in mixed case", lines("PUT / HTTP/1.1", "Host: a", "transfer-ENCODING: Chunked"), LengthChunked, false, false},
		{"HTTP/1.0", lines("GET / HTTP/1.0"), 0, true, false},
		{"HTTP/1.0, keep-alive", lines("GET / HTTP/1.0", "Connection: x, Keep-Alive"), 0, false, false},
		{"HTTP/1.0, keep-alive and close", lines("GET / HTTP/1.0", "Connection: keep-alive", "Connection: close"), 0, true, false},
		{"close", lines("GET / HTTP/1.1", "Host: a", "Connection: x ,\tCLOSE"), 0, true, false},
		{"an expectation", lines("PUT / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-Continue"), 1, false, true},
		{"an expectation without a body", lines("PUT / HTTP/1.1", "Host: a", "Expect: 100-continue"), 0, false, false},
		{"an expectation in HTTP/1.0", lines("PUT / HTTP/1.0", "Content-Length: 1", "Expect: 100-continue"), 1, true, false},
		{"bytes beyond ASCII", lines("GET /\xe7\x9b\xae\xff HTTP/1.1", "Host: a", "X: \xff"), 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, r, err := readRequest(tt.text+"rest", testLimits, false)
			if err != nil {
				t.Fatal(err)
			}
			if h.length != tt.length || h.close != tt.close || h.expect != tt.expect {
				t.Errorf("got length %d, close %v, expect %v", h.length, h.close, h.expect)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "rest" {
				t.Errorf("%q follows the head, want %q", rest, "rest")
			}
		})
	}
}

func TestRequestHead_PreservesBytes(t *testing.T) {
	h, _, err := readRequest(lines("pUt /A%2fb?c HTTP/1.1", "hOST: LocalHost", "x-cOs-META-a:  b  c \t", "X-Cos-Meta-A:", "b: 1,,2 , 3"), testLimits, true)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	got.WriteString(string(h.Method) + " " + string(h.Target))
	for _, f := range h.Fields {
		got.WriteString("|" + string(f.Name) + "=" + string(f.Value))
	}
	if want := "pUt /A%2fb?c|hOST=LocalHost|x-cOs-META-a=b  c|X-Cos-Meta-A=|b=1,,2 , 3"; got.String() != want {
		t.Errorf("got  %s\nwant %s", got.String(), want)
	}
	if h.Count("X-COS-META-A") != 2 || string(h.Get("x-cos-meta-a")) != "b  c" || h.Get("c") != nil {
		t.Error("Get or Count does not find fields by name")
	}
	var list []string
	for e := range h.Elements("B") {
		list = append(list, string(e))
	}
	if strings.Join(list, ";") != "1;2;3" {
		t.Errorf("Elements yields %q", list)
	}
}

func TestReader_Empty(t *testing.T) {
	for _, text := range []string{"", "\r\n", "\r\n\r\n"} {
		if _, _, err := readRequest(text, testLimits, false); !errors.Is(err, io.EOF) {
			t.Errorf("%q: %v, want EOF", text, err)
		}
	}
}

func TestResponseHead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		text   string
		length int64
		close  bool
		want   Rule // "": valid
	}{
		{"a length", "GET", lines("HTTP/1.1 200 OK", "Content-Length: 5"), 5, false, ""},
		{"chunked", "GET", lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), LengthChunked, false, ""},
		{"neither", "GET", lines("HTTP/1.1 200 OK", "X: y"), LengthToClose, true, ""},
		{"HEAD", "HEAD", lines("HTTP/1.1 200 OK", "Content-Length: 5"), 0, false, ""},
		{"HEAD chunked", "HEAD", lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), 0, false, ""},
		{"204", "DELETE", lines("HTTP/1.1 204 No Content", "Content-Length: 5"), 0, false, ""},
		{"304", "GET", lines("HTTP/1.1 304 Not Modified", "Content-Length: 5"), 0, false, ""},
		{"100", "PUT", lines("HTTP/1.1 100 Continue"), 0, false, ""},
		{"no reason", "GET", lines("HTTP/1.1 200 ", "Content-Length: 0"), 0, false, ""},
		{"no space and no reason", "GET", lines("HTTP/1.1 200", "Content-Length: 0"), 0, false, ""},
		{"HTTP/1.0", "GET", lines("HTTP/1.0 200 OK", "Content-Length: 5"), 5, true, ""},
		{"close", "GET", lines("HTTP/1.1 200 OK", "Content-Length: 5", "Connection: close"), 5, true, ""},
		{"both lengths", "GET", lines("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"), 0, false, RuleTwoLengths},
		{"the same length twice", "GET", lines("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5"), 5, false, ""},
		{"two lengths", "GET", lines("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6"), 0, false, RuleContentLength},
		{"two lengths of HEAD", "HEAD", lines("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6"), 0, false, RuleContentLength},
		{"another coding", "GET", lines("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"), 0, false, RuleCoding},
		{"a status of four digits", "GET", lines("HTTP/1.1 2000 OK"), 0, false, RuleStatusLine},
		{"a status of two digits", "GET", lines("HTTP/1.1 20 OK"), 0, false, RuleStatusLine},
		{"a status below 100", "GET", lines("HTTP/1.1 099 OK"), 0, false, RuleStatusLine},
		{"no number", "GET", lines("HTTP/1.1 2x0 OK"), 0, false, RuleStatusLine},
		{"a control character in the reason", "GET", lines("HTTP/1.1 200 O\x00K"), 0, false, RuleStatusLine},
		{"another protocol", "GET", lines("SSH-2.0-OpenSSH"), 0, false, RuleVersion},
		{"obs-fold", "GET", lines("HTTP/1.1 200 OK", "X: a", " b"), 0, false, RuleFolding},
		{"a bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", 0, false, RuleLineEnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &reader{src: strings.NewReader(tt.text)}
			raw, err := r.readHead(nil, testLimits, 0)
			h := &ResponseHead{Head: Head{raw: raw}}
			if err == nil {
				err = h.parse(testLimits, tt.method)
			}
			var got Error
			errors.As(err, &got)
			if got.Rule != tt.want || err != nil && tt.want == "" {
				t.Fatalf("got %v, want rule %q", err, tt.want)
			}
			if err == nil && (h.length != tt.length || h.close != tt.close) {
				t.Errorf("got length %d, close %v", h.length, h.close)
			}
		})
	}
}

func TestBuilder_InvalidBytes(t *testing.T) {
	for _, write := range []func(*Builder){
		func(b *Builder) { b.Request("GET", "/a b") },
		func(b *Builder) { b.Request("GET", "/a\r\nX: y") },
		func(b *Builder) { b.Request("GET", "/\xff") },
		func(b *Builder) { b.Request("GET", "") },
		func(b *Builder) { b.Request("G T", "/") },
		func(b *Builder) { b.Request("GET", "/"); b.Field("X", "a\r\nY: b") },
		func(b *Builder) { b.Request("GET", "/"); b.Field("X", "a\x00") },
		func(b *Builder) { b.Request("GET", "/"); b.Field("X:", "a") },
		func(b *Builder) { b.Request("GET", "/"); b.Field("", "a") },
		func(b *Builder) { b.Request("GET", "/"); b.Copy(Field{Name: []byte("X"), Value: []byte("\n")}) },
		func(b *Builder) { b.beginResponse(99, "") },
		func(b *Builder) { b.beginResponse(200, "O\nK") },
	} {
		var b Builder
		write(&b)
		if head, err := b.Bytes(); err == nil {
			t.Errorf("%q was built", head)
		}
	}
	var b Builder
	b.Request("PUT", "/a%20b")
	b.Field("Host", "localhost")
	b.Int("Content-Length", 12)
	b.Copy(Field{Name: []byte("x-A"), Value: []byte("\xe7 b")})
	head, err := b.Bytes()
	if want := "PUT /a%20b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\nx-A: \xe7 b\r\n\r\n"; err != nil || !bytes.Equal(head, []byte(want)) {
		t.Errorf("got %q, %v", head, err)
	}
}

func TestRequestHead_NoAllocations(t *testing.T) {
	text := lines("GET /a/b?c=d HTTP/1.1", "Host: localhost:4360", "User-Agent: curl/8", "Accept: */*", "Range: bytes=0-1023")
	src := strings.NewReader(text)
	r := &reader{src: src}
	var h RequestHead
	allocations := testing.AllocsPerRun(100, func() {
		src.Reset(text)
		raw, err := r.readHead(h.raw[:0], testLimits, maxEmptyLines)
		h.raw = raw
		if err != nil || h.parse(testLimits) != nil || h.Get("range") == nil {
			t.Fatal("reading the head failed")
		}
		r.err = nil
	})
	if allocations != 0 {
		t.Errorf("%v allocations per head, want none", allocations)
	}
}
