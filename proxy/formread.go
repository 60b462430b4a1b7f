package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// Bounds of what stands in front of a form's file: it is held in memory.
const (
	maxFormHead   = 64 << 10
	maxFormFields = 100
)

func malformedForm(format string, args ...any) *Error {
	return errorf(http.StatusBadRequest, "MalformedPOSTRequest", format, args...)
}

func errFormHasNoFile() *Error {
	return malformedForm("The form ends before a part named file. The file must be its last part.")
}

// formReader reads the beginning of a multipart/form-data body (RFC 7578), and
// stops at the first byte of the file. It is stricter than RFC 2046 asks: where
// two readers could see a part's end in different places, it refuses.
type formReader struct {
	r       *bufio.Reader
	dashes  []byte // "--" and the boundary
	size    int64  // of what was read
	ended   bool   // the closing delimiter was read
	started bool
}

func newFormReader(r io.Reader, boundary string) *formReader {
	return &formReader{r: bufio.NewReader(r), dashes: []byte("--" + boundary)}
}

// formPart is the header of one part.
type formPart struct {
	name        string
	filename    string
	hasFilename bool
	contentType string
}

// line returns one line, with its end.
func (f *formReader) line() ([]byte, error) {
	var line []byte
	for {
		piece, err := f.r.ReadSlice('\n')
		f.size += int64(len(piece))
		if f.size > maxFormHead {
			return nil, errorf(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
				"The fields in front of the form's file are larger than %d KiB together. Send less in front of the file.", maxFormHead>>10)
		}
		line = append(line, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF: // a wrapped one would be a failure
			return nil, errFormHasNoFile()
		default:
			return line, err
		}
	}
}

// isDelimiter reports whether a line begins as a delimiter does, and remembers
// whether it is the closing one. What only begins so is an error.
func (f *formReader) isDelimiter(line []byte) (bool, error) {
	rest, ok := bytes.CutPrefix(line, f.dashes)
	if !ok {
		return false, nil
	}
	rest, ok = bytes.CutSuffix(rest, []byte("\r\n"))
	switch string(bytes.TrimRight(rest, " \t")) {
	case "":
	case "--":
		f.ended = true
	default:
		ok = false
	}
	if !ok {
		return false, malformedForm("A line of the form begins as the boundary does, and goes on otherwise. Choose another boundary.")
	}
	return true, nil
}

// next reads the header of the next part, which the caller knows to begin here.
func (f *formReader) next() (formPart, error) {
	for !f.started {
		line, err := f.line()
		if err != nil {
			return formPart{}, err
		}
		// Some clients begin with the line end that belongs to the delimiter.
		if f.started, err = f.isDelimiter(line); err != nil {
			return formPart{}, err
		}
		if !f.started && string(line) != "\r\n" {
			return formPart{}, malformedForm("The body does not begin with the boundary that Content-Type names.")
		}
	}
	if f.ended {
		return formPart{}, errFormHasNoFile()
	}
	var part formPart
	seen := map[string]bool{}
	for {
		line, err := f.line()
		if err != nil {
			return part, err
		}
		text, ok := strings.CutSuffix(string(line), "\r\n")
		if text == "" && ok {
			break
		}
		name, value, colon := strings.Cut(text, ":")
		name = strings.ToLower(name)
		if !ok || !colon || seen[name] || strings.ContainsFunc(text, isControl) || strings.ContainsAny(name, " \t") {
			return part, malformedForm("A header of a part of the form cannot be read, or comes twice.")
		}
		seen[name] = true
		if err := part.header(name, strings.Trim(value, " \t")); err != nil {
			return part, err
		}
	}
	if part.name == "" {
		return part, malformedForm("A part of the form has no name.")
	}
	return part, nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// header takes in one header of a part. Those without a meaning in forms are
// passed over, as RFC 7578, 4.8 asks.
func (p *formPart) header(name, value string) error {
	switch name {
	case "content-disposition":
		kind, params, err := mime.ParseMediaType(value)
		if err != nil || kind != "form-data" {
			return malformedForm("The Content-Disposition of a part of the form cannot be read: %q.", value)
		}
		p.name = params["name"]
		p.filename, p.hasFilename = params["filename"]
	case "content-type":
		p.contentType = value
	case "content-transfer-encoding":
		switch strings.ToLower(value) {
		case "7bit", "8bit", "binary":
		default:
			return malformedForm("A part of the form has the Content-Transfer-Encoding %q, which COS does not decode. Send it as it is.", value)
		}
	}
	return nil
}

// value reads the content of a field, and the delimiter behind it.
func (f *formReader) value() (string, error) {
	var value []byte
	for {
		line, err := f.line()
		if err != nil {
			return "", err
		}
		end, err := f.isDelimiter(line)
		if err != nil {
			return "", err
		}
		if !end {
			value = append(value, line...)
			continue
		}
		value, end = bytes.CutSuffix(value, []byte("\r\n"))
		if !end {
			return "", malformedForm("A boundary of the form does not stand behind a line end.")
		}
		return string(value), nil
	}
}

// buffered returns what was read ahead, and leaves it to be read.
func (f *formReader) buffered() []byte {
	ahead, _ := f.r.Peek(f.r.Buffered())
	return ahead
}

// formTail watches what follows the header of a form's file, in whatever pieces
// it comes: the closing delimiter must come, and no other.
type formTail struct {
	closing []byte // line feed, "--", boundary, "--"
	matched int    // how much of closing the bytes so far end with
	last    byte   // of the bytes so far
	bare    bool   // the line feed that matched has no carriage return before it
	closed  bool
}

func newFormTail(boundary string) *formTail {
	// An empty file's delimiter may share the line end of the header.
	return &formTail{closing: []byte("\n--" + boundary + "--"), matched: 1}
}

// write takes the next bytes. An error concerns one of them: if none of them
// goes on, COS does not get what follows the file.
func (t *formTail) write(b []byte) error {
	for len(b) > 0 {
		if t.matched == 0 {
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				t.last = b[len(b)-1]
				return nil
			}
			if i > 0 {
				t.last = b[i-1]
			}
			t.lineFeed()
			b = b[i+1:]
			continue
		}
		c := b[0]
		switch {
		case c == t.closing[t.matched]:
			t.matched++
		case t.matched >= len(t.closing)-len("--"):
			return malformedForm("Something follows the file in the form. The part named file must be the last one; nothing was stored.")
		case c == '\n': // only the first byte of closing is one
			t.lineFeed()
		default:
			t.matched = 0
		}
		b, t.last = b[1:], c
		if t.matched == len(t.closing) {
			switch {
			case t.closed:
				return malformedForm("The form is closed twice; nothing was stored.")
			case t.bare:
				return malformedForm("The closing boundary of the form does not stand behind a line end of CR and LF; nothing was stored.")
			}
			t.closed, t.matched = true, 0
		}
	}
	return nil
}

// lineFeed begins anew with what may be the closing delimiter.
func (t *formTail) lineFeed() {
	t.matched, t.bare, t.last = 1, t.last != '\r', '\n'
}

// end reports whether the form may end here.
func (t *formTail) end() error {
	if !t.closed {
		return malformedForm("The form ends without its closing boundary; nothing was stored. Send it again.")
	}
	return nil
}

// watchedTail is the body of a form from the file's first byte on. What is wrong
// with it looks like a failure of the client: the upload then never gets its last
// byte, and COS stores nothing.
type watchedTail struct {
	io.ReadCloser
	tail *formTail
	sum  *fileSum
	left int64 // to the announced end
	err  error
}

// Read implements io.Reader.
func (w *watchedTail) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.ReadCloser.Read(p)
	w.left -= int64(n)
	w.sum.write(p[:n])
	w.err = w.tail.write(p[:n])
	if w.err == nil && w.left <= 0 {
		w.err = w.tail.end()
	}
	if w.err != nil {
		return 0, w.err
	}
	return n, err
}
