package formdata

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"cosproxy/proxy/internal/coserr"
)

// maxHead is the maximum size of the part before the file, in bytes. It is buffered.
const maxHead = 64 << 10

// Reader reads a form: the fields one by one, then the file and everything after it as a
// stream. Errors of the form are a *coserr.Error. Errors of the underlying reader are
// returned unchanged, except for io.EOF.
type Reader struct {
	// File receives the bytes of the file, without the delimiter, while Read returns
	// them. It must not retain them. Set it before Read is called. Nil discards them.
	File func(p []byte)

	r       *bufio.Reader
	scanner scanner
	size    int64 // bytes read before the file
	left    int64 // announced bytes from there on, if sized
	sized   bool  // the length of the body is known
	state   state
	tail    tail
	err     error // Read returns it from now on
}

type state int

const (
	beforeForm state = iota
	beforeHeader
	inValue
	inFile
	afterForm // the form was closed without a file
)

// NewReader returns a Reader of a body with length bytes; negative means unknown. boundary
// must be a result of Boundary.
func NewReader(r io.Reader, boundary string, length int64) *Reader {
	return &Reader{r: bufio.NewReader(r), scanner: newScanner(boundary), left: length, sized: length >= 0}
}

// Next returns the header of the next part. If its name is file, in any case, it is the
// last part, and Read returns its content; otherwise Value does. Next skips content that
// was not read.
func (r *Reader) Next() (Part, error) {
	switch r.state {
	case beforeForm:
		if err := r.firstDelimiter(); err != nil {
			return Part{}, err
		}
	case inValue:
		if _, err := r.Value(); err != nil {
			return Part{}, err
		}
	}
	if r.state != beforeHeader {
		return Part{}, noFileError()
	}
	part, err := r.header()
	if err != nil {
		return Part{}, err
	}
	r.scanner.start()
	r.state = inValue
	if strings.EqualFold(part.Name, "file") {
		r.state = inFile
		if r.left -= r.size; r.sized && r.left <= 0 { // Read could not report this: it has no bytes left
			return Part{}, notClosedError()
		}
	}
	return part, nil
}

// HeadSize returns the number of bytes before the file. It is valid after Next returned the
// file.
func (r *Reader) HeadSize() int64 { return r.size }

// firstDelimiter reads everything before the first part header. Some clients send the line
// end of the first delimiter, others do not.
func (r *Reader) firstDelimiter() error {
	for {
		line, err := r.line()
		if err != nil {
			return err
		}
		if rest, ok := bytes.CutPrefix(line, r.scanner.delimiter[len("\r\n"):]); ok {
			return r.endDelimiter(rest)
		}
		if string(line) != "\r\n" {
			return malformed("The body does not begin with the boundary in Content-Type. Send the same boundary in both.")
		}
	}
}

// endDelimiter parses the rest of the line after a boundary.
func (r *Reader) endDelimiter(rest []byte) error {
	rest, ok := bytes.CutSuffix(rest, []byte("\r\n"))
	switch string(bytes.TrimRight(rest, " \t")) {
	case "":
		r.state = beforeHeader
	case "--":
		r.state = afterForm
	default:
		ok = false
	}
	if !ok {
		return malformed("A line of the form begins with the boundary and has more text after it. Choose another boundary.")
	}
	return nil
}

// header reads the header of a part.
func (r *Reader) header() (Part, error) {
	var part Part
	seen := map[string]bool{}
	for {
		line, err := r.line()
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
			return part, malformed("A part of the form has an invalid or repeated header field. Correct the header of the part.")
		}
		seen[name] = true
		if err := part.setHeader(name, strings.Trim(value, " \t")); err != nil {
			return part, err
		}
	}
	if part.Name == "" {
		return part, malformed("A part of the form has no name. Send a name in its Content-Disposition.")
	}
	return part, nil
}

// Value returns the content of the field that Next returned. It can be called once per
// field.
func (r *Reader) Value() (string, error) {
	if r.state != inValue {
		return "", errors.New("formdata: no field to read")
	}
	var value []byte
	add := func(p []byte) { value = append(value, p...) }
	for found := false; !found; {
		if _, err := r.r.Peek(1); err != nil {
			return "", noFileAtEnd(err)
		}
		ahead, _ := r.r.Peek(r.r.Buffered())
		var n int
		n, found = r.scanner.scan(ahead, add)
		_, _ = r.r.Discard(n)
		if err := r.count(n); err != nil {
			return "", err
		}
	}
	afterLineEnd := r.scanner.cr && !r.scanner.shared
	rest, err := r.line()
	if err != nil {
		return "", err
	}
	if err := r.endDelimiter(rest); err != nil {
		return "", err
	}
	if !afterLineEnd {
		return "", malformed("A boundary of the form does not follow a CR LF. End lines with CR LF.")
	}
	return string(value), nil
}

// line returns the next line, including its line end.
func (r *Reader) line() ([]byte, error) {
	var line []byte
	for {
		piece, err := r.r.ReadSlice('\n')
		if err := r.count(len(piece)); err != nil {
			return nil, err
		}
		line = append(line, piece...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, noFileAtEnd(err)
		}
	}
}

// count adds n bytes to the part before the file, and rejects it if it is too long.
func (r *Reader) count(n int) error {
	if r.size += int64(n); r.size <= maxHead {
		return nil
	}
	return coserr.New(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
		"The form fields before the file exceed %d KiB in total. Send fewer or shorter fields.", maxHead>>10)
}

// noFileAtEnd returns noFileError for an io.EOF that is not wrapped, and any other error
// unchanged.
func noFileAtEnd(err error) error {
	if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure of the connection
		return noFileError()
	}
	return err
}
