package integration_test

import (
	"bytes"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// message is one request in a stream of bytes.
type message struct {
	method, target string
	header         map[string][]string // names in lower case
	body           string
	complete       bool // the body is complete
}

var (
	requestLine = regexp.MustCompile(`^([!#$%&'*+.^_|~0-9A-Za-z-]+) (\S+) HTTP/1\.([0-9])$`)
	fieldLine   = regexp.MustCompile(`^([!#$%&'*+.^_|~0-9A-Za-z\x60-]+):[ \t]*(.*?)[ \t]*$`)
	digits      = regexp.MustCompile(`^[0-9]+$`)
	chunkLine   = regexp.MustCompile(`^([0-9A-Fa-f]{1,16})[ \t]*(;.*)?$`)
)

// readMessages parses a client's stream by RFC 9112 alone, without net/http. It is as
// tolerant as the RFC allows a server to be (bare line feeds, folded fields, chunk
// extensions). It stops where the connection ends by the RFC, or where two servers
// could continue at different bytes: nothing after that is a request.
func readMessages(wire []byte) []message {
	var all []message
	r := &lines{wire}
	for {
		m, minor, ok := r.head()
		if !ok {
			return all
		}
		goesOn := r.body(&m, minor)
		all = append(all, m)
		if !goesOn || !m.complete || m.closesConnection(minor) {
			return all
		}
	}
}

type lines struct{ rest []byte }

func (l *lines) next() (string, bool) {
	line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
	l.rest = rest
	return string(bytes.TrimSuffix(line, []byte("\r"))), ok
}

// head parses a request up to the end of its header (RFC 9112, 2.2, 3 and 5).
func (l *lines) head() (m message, minor string, ok bool) {
	line, ok := l.next()
	for ok && line == "" {
		line, ok = l.next()
	}
	parts := requestLine.FindStringSubmatch(line)
	if !ok || parts == nil {
		return m, "", false
	}
	m = message{method: parts[1], target: parts[2], header: map[string][]string{}}
	last := ""
	for {
		line, ok = l.next()
		switch field := fieldLine.FindStringSubmatch(line); {
		case !ok:
			return m, "", false
		case line == "":
			return m, parts[3], true
		case last != "" && (line[0] == ' ' || line[0] == '\t'):
			values := m.header[last]
			values[len(values)-1] = strings.Trim(values[len(values)-1]+" "+strings.Trim(line, " \t"), " ")
		case field == nil:
			return m, "", false
		default:
			last = strings.ToLower(field[1])
			m.header[last] = append(m.header[last], field[2])
		}
	}
}

// body parses the body of m (RFC 9112, 6). It returns false if the start of the next
// request is ambiguous.
func (l *lines) body(m *message, minor string) bool {
	codings, lengths := m.header["transfer-encoding"], m.header["content-length"]
	switch {
	case len(codings) > 0:
		if minor == "0" || len(lengths) > 0 || len(codings) > 1 || !strings.EqualFold(codings[0], "chunked") {
			return false
		}
		m.complete = l.chunks(m)
		return m.complete
	case len(lengths) > 0:
		for _, length := range lengths {
			if !digits.MatchString(length) || length != lengths[0] {
				return false
			}
		}
		n, err := strconv.Atoi(lengths[0])
		m.complete = err == nil && n <= len(l.rest)
		if m.complete {
			m.body, l.rest = string(l.rest[:n]), l.rest[n:]
		}
		return m.complete
	}
	m.complete = true
	return true
}

// chunks parses a chunked body (RFC 9112, 7.1).
func (l *lines) chunks(m *message) bool {
	for {
		line, ok := l.next()
		parts := chunkLine.FindStringSubmatch(line)
		if !ok || parts == nil {
			return false
		}
		n, err := strconv.ParseUint(parts[1], 16, 63)
		switch {
		case err != nil || n > uint64(len(l.rest)):
			return false
		case n == 0:
			for {
				if line, ok = l.next(); !ok || line == "" {
					return ok
				}
			}
		}
		m.body += string(l.rest[:n])
		l.rest = l.rest[n:]
		if end, ok := l.next(); !ok || end != "" {
			return false
		}
	}
}

// closesConnection reports whether the client asks to close the connection after m
// (RFC 9112, 9.3).
func (m message) closesConnection(minor string) bool {
	options := "," + strings.ToLower(strings.NewReplacer(" ", "", "\t", "").Replace(strings.Join(m.header["connection"], ","))) + ","
	return strings.Contains(options, ",close,") || minor == "0" && !strings.Contains(options, ",keep-alive,")
}

var originOfTarget = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*`)

// keyOf returns the object key of a target whose path is nothing but the key.
func keyOf(target string) string {
	path, _, _ := strings.Cut(originOfTarget.ReplaceAllString(target, ""), "?")
	key, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil {
		return "\x00" + path
	}
	return key
}
