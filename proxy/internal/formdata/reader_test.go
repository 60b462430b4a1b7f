package formdata_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/formdata"
)

const boundary = "----FormBoundaryE7x"

const closing = "\r\n--" + boundary + "--\r\n"

func field(name, value string) string {
	return string(formdata.AppendField(nil, boundary, name, value))
}

func file(name, content string) string {
	return string(formdata.AppendFileHead(nil, boundary, formdata.Part{Filename: name, HasFilename: true, ContentType: "text/x-test"})) + content
}

// read is the result of reading a form.
type read struct {
	fields   [][2]string
	part     formdata.Part
	headSize int64
	rest     string // from the first byte of the file
	file     string
	complete bool
	err      error
}

// readForm reads a complete form, with reads of size bytes.
func readForm(body io.Reader, length int64, size int) (got read) {
	r := formdata.NewReader(body, boundary, length)
	var file, rest strings.Builder
	r.File = func(p []byte) { file.Write(p) }
	for {
		if got.part, got.err = r.Next(); got.err != nil {
			return got
		}
		if strings.EqualFold(got.part.Name, "file") {
			break
		}
		var value string
		if value, got.err = r.Value(); got.err != nil {
			return got
		}
		got.fields = append(got.fields, [2]string{got.part.Name, value})
	}
	got.headSize = r.HeadSize()
	_, got.err = io.CopyBuffer(struct{ io.Writer }{&rest}, struct{ io.Reader }{r}, make([]byte, size))
	got.rest, got.file, got.complete = rest.String(), file.String(), r.FileComplete()
	return got
}

// contents are files that resemble the delimiters around them.
var contents = map[string]string{
	"empty":              "",
	"text":               "hello",
	"line ends":          "\r\n\r\n\n\r\n",
	"carriage returns":   "\r\r\n\r\r",
	"most of a boundary": "\r\n--" + boundary[:len(boundary)-1] + "\r\n" + boundary + "\n-" + boundary + "--\r\n-\r\n--",
	"a boundary inside":  "a--" + boundary + "--b\r--" + boundary + "c",
	"zeros":              strings.Repeat("\x00", 9_000),
	"large":              strings.Repeat("0123456789abcde\n", 1_000),
}

// The split of a body into pieces has no effect.
func TestReader_Pieces(t *testing.T) {
	for name, content := range contents {
		head := field("key", "dir/a b.txt") + field("empty", "") + field("lines", content[:min(len(content), 50)]+"\r\n\r\nb\n") + file("f.txt", "")
		for _, epilogue := range []string{"", "\r\n", "\r\nepilogue\r\n--x"} {
			rest := content + "\r\n--" + boundary + "--" + epilogue
			body := head + rest
			for _, size := range []int{1, 7, len(boundary), 4096, 64 << 10} {
				for how, in := range map[string]io.Reader{
					"whole": strings.NewReader(body), "bytes": iotest.OneByteReader(strings.NewReader(body)),
					"halves": iotest.HalfReader(strings.NewReader(body)), "with EOF": iotest.DataErrReader(strings.NewReader(body)),
				} {
					got := readForm(in, int64(len(body)), size)
					wantFields := [][2]string{{"key", "dir/a b.txt"}, {"empty", ""}, {"lines", content[:min(len(content), 50)] + "\r\n\r\nb\n"}}
					if got.err != nil || !slices.Equal(got.fields, wantFields) || got.headSize != int64(len(head)) || got.rest != rest || got.file != content {
						t.Fatalf("%s, %q, %s by %d: fields %.100q, %d bytes before %.100q (%.100q): %v",
							name, epilogue, how, size, got.fields, got.headSize, got.rest, got.file, got.err)
					}
					if want := len(epilogue) <= 2; got.complete != want {
						t.Errorf("%s, %q: complete %v, want %v", name, epilogue, got.complete, want)
					}
					if want := (formdata.Part{Name: "file", Filename: "f.txt", HasFilename: true, ContentType: "text/x-test"}); got.part != want {
						t.Errorf("part %+v", got.part)
					}
				}
			}
		}
	}
}

// wantCode checks that an error has this code and contains text.
func wantCode(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *coserr.Error
	if !errors.As(err, &e) || e.Status != 400 || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func TestReader_Malformed(t *testing.T) {
	whole := field("key", "a") + file("f", "x"+closing)
	part := func(header string) string { return "--" + boundary + "\r\n" + header + "\r\n\r\nv\r\n" }
	const malformed, tooLarge = "MalformedPOSTRequest", "MaxPostPreDataLengthExceeded"
	for name, tt := range map[string]struct{ body, code, text string }{
		"empty":                                {"", malformed, "without a part named file"},
		"another boundary":                     {strings.ReplaceAll(whole, boundary, "other"), malformed, "does not begin with the boundary"},
		"preamble":                             {"preamble\r\n" + whole, malformed, "does not begin with the boundary"},
		"bare line feeds":                      {strings.ReplaceAll(whole, "\r\n", "\n"), malformed, "has more text after it"},
		"boundary after a bare line feed":      {field("key", "a\n--"+boundary+"\r\nx") + whole, malformed, "does not follow a CR LF"},
		"boundary that goes on":                {field("key", "a\r\n--"+boundary+"x") + whole, malformed, "has more text after it"},
		"boundary that goes on before a part":  {field("key", "a") + strings.Replace(file("f", "x"+closing), boundary, boundary+"x", 1), malformed, "has more text after it"},
		"boundary and a bare line feed":        {field("key", "a") + strings.Replace(whole, "\r\n", "\n", 1), malformed, "has more text after it"},
		"no line end before the boundary":      {"--" + boundary + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + file("f", "x"+closing), malformed, "does not follow a CR LF"},
		"no file":                              {field("key", "a") + closing[2:], malformed, "without a part named file"},
		"closed at once":                       {closing[2:] + whole, malformed, "without a part named file"},
		"no file and no end":                   {field("key", "a"), malformed, "without a part named file"},
		"ends in a boundary":                   {field("key", "a") + "--" + boundary, malformed, "without a part named file"},
		"ends in a header":                     {whole[:strings.LastIndex(whole, "\r\n\r\nx")+2], malformed, "without a part named file"},
		"no name":                              {part("Content-Disposition: form-data") + whole, malformed, "no name"},
		"empty name":                           {part(`Content-Disposition: form-data; name=""`) + whole, malformed, "no name"},
		"no disposition":                       {part("X: y") + whole, malformed, "no name"},
		"no header":                            {"--" + boundary + "\r\n\r\nv\r\n" + whole, malformed, "no name"},
		"two dispositions":                     {part("Content-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b") + whole, malformed, "invalid or repeated header"},
		"two names":                            {part("Content-Disposition: form-data; name=a; name=b") + whole, malformed, "Content-Disposition"},
		"another disposition":                  {part("Content-Disposition: attachment; name=a") + whole, malformed, "Content-Disposition"},
		"folded header":                        {part("Content-Disposition: form-data;\r\n name=a") + whole, malformed, "invalid or repeated header"},
		"header without a colon":               {part("Content-Disposition: form-data; name=a\r\nX") + whole, malformed, "invalid or repeated header"},
		"blank before the colon":               {part("Content-Disposition : form-data; name=a") + whole, malformed, "invalid or repeated header"},
		"bare line feed in a header":           {part("Content-Disposition: form-data; name=a\nX: y") + whole, malformed, "invalid or repeated header"},
		"control in a header":                  {part("Content-Disposition: form-data; name=a\r\nContent-Type: a\rb") + whole, malformed, "invalid or repeated header"},
		"encoded":                              {part("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64") + whole, malformed, "does not decode"},
		"a line without end":                   {strings.Repeat("x", 1<<20), tooLarge, "64 KiB"},
		"a value of lines":                     {field("key", strings.Repeat("x\r\n", 1<<18)) + whole, tooLarge, "64 KiB"},
		"headers without end":                  {"--" + boundary + "\r\n" + strings.Repeat("X: y\r\n", 1<<18), malformed, "invalid or repeated header"},
		"a header line without end":            {"--" + boundary + "\r\nX: " + strings.Repeat("y", 1<<20), tooLarge, "64 KiB"},
		"a boundary line without end":          {"--" + boundary + strings.Repeat(" ", 1<<20), tooLarge, "64 KiB"},
		"blank lines without end":              {strings.Repeat("\r\n", 1<<18), tooLarge, "64 KiB"},
		"a boundary line of blanks in a field": {field("key", "a") + "--" + boundary + strings.Repeat(" ", 1<<20), tooLarge, "64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, readForm(strings.NewReader(tt.body), int64(len(tt.body)), 512).err, tt.code, tt.text)
		})
	}
}

func TestReader_HeadSizeLimit(t *testing.T) {
	sized := func(n int) string {
		rest := field("x", "") + file("f", "")
		return field("x", strings.Repeat("x", n-len(rest))) + file("f", strings.Repeat("y", 128<<10)+closing)
	}
	if got := readForm(strings.NewReader(sized(64<<10)), -1, 4096); got.err != nil || got.headSize != 64<<10 {
		t.Errorf("64 KiB: %d, %v", got.headSize, got.err)
	}
	wantCode(t, readForm(strings.NewReader(sized(64<<10+1)), -1, 4096).err, "MaxPostPreDataLengthExceeded", "64 KiB")
}

// badTails are invalid endings of a form after its file.
var badTails = map[string]struct{ tail, text string }{
	"another field":          {"\r\n" + field("acl", "public-read") + closing[2:], "has a part after the file"},
	"another file":           {"\r\n" + file("g", "y"+closing), "has a part after the file"},
	"a field and no end":     {"\r\n" + field("acl", "public-read"), "has a part after the file"},
	"after a bare line feed": {"\n--" + boundary + "\r\n\r\n" + closing, "has a part after the file"},
	"after two line feeds":   {"\n\n--" + boundary + "\r\n\r\n" + closing, "has a part after the file"},
	"boundary that goes on":  {"\r\n--" + boundary + "x" + closing, "has a part after the file"},
	"one dash":               {"\r\n--" + boundary + "-" + closing, "has a part after the file"},
	"closed after a bare LF": {"\n" + closing[2:], "does not follow a CR LF"},
	"closed after two LFs":   {"\r\n\n" + closing[2:], "does not follow a CR LF"},
	"two closing boundaries": {closing + "--" + boundary + "--\r\n", "two closing boundaries"},
	"goes on when closed":    {closing + field("acl", "public-read") + closing[2:], "has a part after the file"},
	"no closing boundary":    {"", "without its closing boundary"},
	"half of it":             {closing[:len(closing)-4], "without its closing boundary"},
	"all but a dash":         {closing[:len(closing)-3], "without its closing boundary"},
}

// Read never returns the last byte of the announced length.
func TestReader_BadTail(t *testing.T) {
	for name, tt := range badTails {
		for _, content := range []string{"x", strings.Repeat("x", 100), strings.Repeat("x\r\n", 50_000)} {
			body := field("key", "a") + file("f", content+tt.tail)
			for _, size := range []int{1, 7, 1000, 64 << 10} {
				for _, length := range []int64{int64(len(body)), -1} {
					got := readForm(iotest.HalfReader(strings.NewReader(body)), length, size)
					wantCode(t, got.err, "MalformedPOSTRequest", tt.text)
					sent := got.headSize + int64(len(got.rest))
					if length >= 0 && sent >= length {
						t.Errorf("%s by %d: all of %d bytes were returned", name, size, sent)
					}
				}
			}
		}
	}
}

// The delimiter of an empty file may share the line end of the part header; parsers may
// disagree on such a file.
func TestReader_EmptyFileWithoutALineEnd(t *testing.T) {
	body := field("key", "a") + file("f", closing[2:])
	got := readForm(strings.NewReader(body), int64(len(body)), 3)
	if got.err != nil || got.file != "" || got.rest != closing[2:] || got.complete {
		t.Errorf("%+v", got)
	}
	body = field("key", "a") + file("f", field("acl", "b")+closing[2:])
	wantCode(t, readForm(strings.NewReader(body), int64(len(body)), 3).err, "MalformedPOSTRequest", "has a part after the file")
}

// Valid forms that differ from the usual ones.
func TestReader_Unusual(t *testing.T) {
	whole := field("key", "a") + file("f", "x"+closing)
	for name, body := range map[string]string{
		"line end in front":         "\r\n" + whole,
		"blanks after a boundary":   strings.Replace(whole, "\r\nContent", " \t\r\nContent", 1),
		"unquoted names":            strings.ReplaceAll(strings.ReplaceAll(whole, `"key"`, "key"), `"file"`, "file"),
		"other headers":             strings.ReplaceAll(whole, "\r\n\r\n", "\r\nContent-Length: 1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"),
		"file without a name":       strings.Replace(whole, `; filename="f"`, "", 1),
		"file in another spelling":  strings.Replace(whole, `"file"`, `"File"`, 1),
		"filename in RFC 8187":      strings.Replace(whole, `filename="f"`, "filename*=utf-8''%22%0d%0ax%3a%20y", 1),
		"no line end after the end": strings.TrimSuffix(whole, "\r\n"),
	} {
		got := readForm(strings.NewReader(body), int64(len(body)), 100)
		if got.err != nil || !slices.Equal(got.fields, [][2]string{{"key", "a"}}) || got.file != "x" || !got.complete {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Next may follow Next.
func TestReader_SkipsValues(t *testing.T) {
	r := formdata.NewReader(strings.NewReader(field("a", "1")+field("b", "2")+file("f", "x"+closing)), boundary, -1)
	var names []string
	for range 3 {
		part, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, part.Name)
	}
	if !slices.Equal(names, []string{"a", "b", "file"}) {
		t.Errorf("parts %q", names)
	}
}

// An error of the connection is returned unchanged, including a wrapped io.EOF.
func TestReader_Failures(t *testing.T) {
	failure := fmt.Errorf("broken: %w", io.EOF)
	whole := field("key", "a") + file("f", strings.Repeat("x", 10_000)+closing)
	for _, at := range []int{0, 10, strings.Index(whole, "\r\na\r\n") + 3, strings.Index(whole, "name=\"file"), len(whole) - 5_000, len(whole) - 4} {
		got := readForm(io.MultiReader(strings.NewReader(whole[:at]), iotest.ErrReader(failure)), int64(len(whole)), 100)
		if got.err != failure { //nolint:errorlint // the very error is wanted
			t.Errorf("at %d: %v", at, got.err)
		}
	}
}

func TestBoundary(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   string
	}{
		{[]string{"multipart/form-data; boundary=" + boundary}, boundary},
		{[]string{`Multipart/Form-Data; charset=utf-8; boundary="b'="`}, "b'="},
		{[]string{"multipart/form-data; boundary=" + strings.Repeat("b", 70)}, strings.Repeat("b", 70)},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"application/x-www-form-urlencoded"}, ""},
		{[]string{"multipart/mixed; boundary=b"}, ""},
		{[]string{"multipart/form-data"}, ""},
		{[]string{"multipart/form-data; boundary=b; boundary=c"}, ""},
		{[]string{"multipart/form-data; boundary=b", "multipart/form-data; boundary=b"}, ""},
		{[]string{`multipart/form-data; boundary=""`}, ""},
		{[]string{`multipart/form-data; boundary="a b"`}, ""},
		{[]string{"multipart/form-data; boundary=" + strings.Repeat("b", 71)}, ""},
		{[]string{"multipart/form-data; boundary*=utf-8''a%0d%0ab"}, ""},
	} {
		got, err := formdata.Boundary(tt.values)
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.values, got, tt.want)
		}
		if tt.want == "" {
			wantCode(t, err, "MalformedPOSTRequest", "send PUT /<key>")
		} else if err != nil {
			t.Errorf("%q: %v", tt.values, err)
		}
	}
}

func TestAppendFileHead(t *testing.T) {
	const start = "--b\r\nContent-Disposition: form-data; name=\"file\""
	for want, part := range map[string]formdata.Part{
		start + "\r\n\r\n": {Name: "FILE"},
		start + "; filename=\"\"\r\nContent-Type: t\r\n\r\n":             {HasFilename: true, ContentType: "t"},
		start + "; filename=\"a%22\\%0D%0A\"\r\n\r\n":                    {HasFilename: true, Filename: "a\"\\\r\n"},
		start + "; filename=\"dir\"\r\n\r\n":                             {HasFilename: true, Filename: `dir\\`},
		start + "; filename=\"\u6587.txt\"\r\nContent-Type: a/b\r\n\r\n": {HasFilename: true, Filename: "\u6587.txt", ContentType: "a/b"},
	} {
		if got := string(formdata.AppendFileHead(nil, "b", part)); got != want {
			t.Errorf("%+v is\n%q, want\n%q", part, got, want)
		}
	}
	if got := field("n", "v"); got != "--"+boundary+"\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n" {
		t.Errorf("%q", got)
	}
}
