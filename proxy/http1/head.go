package http1

import (
	"bytes"
	"iter"
)

// Limits are the maximum sizes of a head. Zero values mean the defaults.
type Limits struct {
	// HeadBytes is the maximum length of the start line and all fields. Zero: 64 KiB.
	HeadBytes int
	// LineBytes is the maximum length of the start line. Zero: 16 KiB.
	LineBytes int
	// Fields is the maximum number of fields. Zero: 100.
	Fields int
}

func (l Limits) withDefaults() Limits {
	if l.HeadBytes == 0 {
		l.HeadBytes = 64 << 10
	}
	if l.LineBytes == 0 {
		l.LineBytes = 16 << 10
	}
	if l.Fields == 0 {
		l.Fields = 100
	}
	return l
}

// Field is one field line: the name as received, and the value without leading and
// trailing whitespace.
type Field struct{ Name, Value []byte }

// Head is the common part of RequestHead and ResponseHead. Its bytes are valid until
// the next message of the connection is read.
type Head struct {
	// Minor is the minor version of HTTP: 0 or 1.
	Minor int
	// Fields are the field lines in the order received.
	Fields []Field

	framing
	raw []byte // start line and fields; the other slices point into it
}

// Get returns the value of the first field with the given name. Letter case is ignored.
// Nil: there is no such field.
func (h *Head) Get(name string) []byte {
	for i := range h.Fields {
		if EqualFold(h.Fields[i].Name, name) {
			return h.Fields[i].Value
		}
	}
	return nil
}

// Count returns the number of field lines with the given name. Letter case is ignored.
func (h *Head) Count(name string) int {
	n := 0
	for i := range h.Fields {
		if EqualFold(h.Fields[i].Name, name) {
			n++
		}
	}
	return n
}

// Elements yields the elements of all comma-separated lists with the given name, such as
// the options of Connection (RFC 9110, 5.6.1). It skips empty elements. It does not
// parse quoted strings.
func (h *Head) Elements(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range h.Fields {
			if !EqualFold(h.Fields[i].Name, name) {
				continue
			}
			for rest := h.Fields[i].Value; len(rest) > 0; {
				element, after, _ := bytes.Cut(rest, []byte(","))
				rest = after
				if element = trimWhitespace(element); len(element) > 0 && !yield(element) {
					return
				}
			}
		}
	}
}

// hasElement reports whether a list contains a token. Letter case is ignored.
func (h *Head) hasElement(name, token string) bool {
	for element := range h.Elements(name) {
		if EqualFold(element, token) {
			return true
		}
	}
	return false
}

// RequestHead is the request line and the fields of a request.
type RequestHead struct {
	Head
	// Method and Target are as received. Target contains no space and no control
	// character; it may contain bytes above 0x7f.
	Method, Target []byte

	expect bool // the client expects 100 Continue, which was not sent yet
}

// ResponseHead is the status line and the fields of a response.
type ResponseHead struct {
	Head
	// Status is the status code, 100 to 999.
	Status int
	// Reason is the reason phrase. It may be empty.
	Reason []byte
}

// parse parses the complete request head in h.raw.
func (h *RequestHead) parse(limits Limits) error {
	line, rest := cutLine(h.raw)
	if err := h.parseLine(line); err != nil {
		return err
	}
	if err := h.parseFields(rest, limits); err != nil {
		return err
	}
	if err := h.checkHost(); err != nil {
		return err
	}
	if err := h.requestFraming(); err != nil {
		return err
	}
	return h.parseExpect()
}

func (h *RequestHead) parseLine(line []byte) error {
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first < 0 || first == last {
		return Error{RuleRequestLine, "the request line is not a method, a target and a version"}
	}
	h.Method, h.Target = line[:first], line[first+1:last]
	if !isToken(h.Method) || len(h.Target) == 0 {
		return Error{RuleRequestLine, "the request line is not a method, a target and a version"}
	}
	for _, c := range h.Target {
		if c <= ' ' || c == 0x7f {
			return Error{RuleRequestLine, "the request target contains a space or a control character"}
		}
	}
	var err error
	h.Minor, err = parseVersion(line[last+1:])
	return err
}

// checkHost requires exactly one Host in HTTP/1.1 and at most one in HTTP/1.0 (RFC 9112,
// 3.2).
func (h *RequestHead) checkHost() error {
	switch n := h.Count("Host"); {
	case n == 0 && h.Minor == 0:
		return nil
	case n != 1:
		return Error{RuleHost, "the request does not have exactly one Host field"}
	case !allIn(&hostByte, h.Get("Host")):
		return Error{RuleHost, "the Host field is not a host name with an optional port"}
	}
	return nil
}

func (h *RequestHead) parseExpect() error {
	h.expect = false
	switch value := h.Get("Expect"); {
	case len(value) == 0 && h.Count("Expect") < 2:
		return nil
	case h.Count("Expect") == 1 && EqualFold(value, "100-continue"):
		// RFC 9110, 10.1.1: an HTTP/1.0 client cannot read 100 Continue.
		h.expect = h.Minor == 1 && h.length != 0
		return nil
	}
	return Error{RuleExpect, "the only supported expectation is 100-continue"}
}

// parse parses the complete response head in h.raw. method is the method of the request.
func (h *ResponseHead) parse(limits Limits, method string) error {
	line, rest := cutLine(h.raw)
	if err := h.parseLine(line); err != nil {
		return err
	}
	if err := h.parseFields(rest, limits); err != nil {
		return err
	}
	return h.responseFraming(method)
}

func (h *ResponseHead) parseLine(line []byte) error {
	version, rest, found := bytes.Cut(line, []byte(" "))
	var err error
	if h.Minor, err = parseVersion(version); err != nil {
		return err
	}
	// Some servers omit the space before an empty reason phrase, against RFC 9112, 4.
	if !found || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' || !allIn(&valueByte, rest) {
		return Error{RuleStatusLine, "the status line is not a version, a status code and a reason phrase"}
	}
	h.Status = 0
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return Error{RuleStatusLine, "the status code is not a number of three digits"}
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	if h.Status < 100 {
		return Error{RuleStatusLine, "the status code is below 100"}
	}
	h.Reason = trimWhitespace(rest[3:])
	return nil
}

func parseVersion(v []byte) (minor int, err error) {
	switch string(v) {
	case "HTTP/1.1":
		return 1, nil
	case "HTTP/1.0":
		return 0, nil
	}
	return 0, Error{RuleVersion, "the version is not HTTP/1.1 or HTTP/1.0"}
}

// parseFields parses the field lines up to the empty line after them.
func (h *Head) parseFields(rest []byte, limits Limits) error {
	h.Fields = h.Fields[:0]
	for {
		var line []byte
		if line, rest = cutLine(rest); len(line) == 0 {
			return nil
		}
		if len(h.Fields) == limits.Fields {
			return Error{RuleHeadTooLarge, "the head has too many fields"}
		}
		f, err := parseField(line)
		if err != nil {
			return err
		}
		h.Fields = append(h.Fields, f)
	}
}

func parseField(line []byte) (Field, error) {
	if line[0] == ' ' || line[0] == '\t' {
		return Field{}, Error{RuleFolding, "a field continues on the next line"}
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 || !isToken(line[:colon]) {
		return Field{}, Error{RuleFieldName, "a field line is not a name, a colon and a value"}
	}
	value := trimWhitespace(line[colon+1:])
	if !allIn(&valueByte, value) {
		return Field{}, Error{RuleFieldValue, "a field value contains a control character"}
	}
	return Field{Name: line[:colon], Value: value}, nil
}

// cutLine splits off the first line of a head. All lines end in CR LF, which
// reader.readHead has checked.
func cutLine(head []byte) (line, rest []byte) {
	end := bytes.IndexByte(head, '\n')
	return head[:end-1], head[end+1:]
}
