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

// maxHead is the most that may precede the file: it is held in memory.
const maxHead = 64 << 10

// Reader reads a form: the fields one by one, then the file and what follows it as a
// stream. What is wrong with the form is a *coserr.Error; those of the underlying
// reader are returned as they are, except for io.EOF.
type Reader struct {
	// File, unless nil, gets the bytes of the file while Read returns them, without
	// those of the delimiter. It must not keep them. It is set before Read is called.
	File func(p []byte)

	r       *bufio.Reader
	scanner scanner
	size    int64 // bytes read of what precedes the file
	left    int64 // bytes from there to the announced end; negative if that is unknown
	sized   bool
	state   state
	tail    tail
	err     error // of Read
}

type state int

const (
	beforeForm state = iota
	beforeHeader
	inValue
	inFile
	afterForm // the closing delimiter came before a file
)

// NewReader returns a Reader of a body with length bytes; negative means unknown.
// boundary is one that Boundary returned.
func NewReader(r io.Reader, boundary string, length int64) *Reader {
	return &Reader{r: bufio.NewReader(r), scanner: newScanner(boundary), left: length, sized: length >= 0}
}

// Next returns the header of the next part. If its name is file, in any spelling, it
// is the last part, and Read returns its content; else Value does. Content that was
// not asked for is skipped.
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
		if r.left -= r.size; r.sized && r.left <= 0 { // nothing is left for Read to fail on
			return Part{}, notClosedError()
		}
	}
	return part, nil
}

// HeadSize returns how many bytes precede the first byte of the file, once Next has
// returned that part.
func (r *Reader) HeadSize() int64 { return r.size }

// firstDelimiter reads what precedes the first header. Some clients begin with the
// line end that belongs to the delimiter.
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
			return malformed("The body does not begin with the boundary that Content-Type names.")
		}
	}
}

// endDelimiter takes what follows the boundary on its line.
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
		return malformed("A line of the form begins with the boundary and continues after it. Choose another boundary.")
	}
	return nil
}

// header reads the header lines of a part.
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
			return part, malformed("A header of a part of the form cannot be read, or comes twice.")
		}
		seen[name] = true
		if err := part.setHeader(name, strings.Trim(value, " \t")); err != nil {
			return part, err
		}
	}
	if part.Name == "" {
		return part, malformed("A part of the form has no name.")
	}
	return part, nil
}

// Value returns the content of the field whose header Next has returned, once.
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
		return "", malformed("A boundary of the form does not follow a line end of CR and LF.")
	}
	return string(value), nil
}

// line returns one line, with its end.
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

// count refuses what is too long to be held in memory.
func (r *Reader) count(n int) error {
	if r.size += int64(n); r.size <= maxHead {
		return nil
	}
	return coserr.New(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
		"The fields in front of the form's file are larger than %d KiB together. Send less in front of the file.", maxHead>>10)
}

// noFileAtEnd turns the end of the body, which is not a wrapped one, into an error
// of the form.
func noFileAtEnd(err error) error {
	if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure of the connection
		return noFileError()
	}
	return err
}
