package proxy

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// secrets are the session token and the signature of one attempt. COS echoes both in a
// SignatureDoesNotMatch, and the client must not see them.
type secrets []string

// mayEchoSecrets reports whether a response may be an error document or a redirect rather
// than the bytes of an object. COS responds to Complete Multipart Upload and Copy with 200
// before it knows the result, which may be an error (COS document "Complete Multipart
// Upload").
func (r *response) mayEchoSecrets() bool {
	if r.Status >= http.StatusMultipleChoices {
		return true
	}
	written := r.method == http.MethodPut || r.method == http.MethodPost
	coding := strings.ToLower(r.contentCodings())
	return written && (coding == "" || coding == "identity" || coding == "gzip")
}

// mask replaces each byte of the secrets with * in the status line, the header fields and
// the body of a response. Lengths do not change. It decodes gzip bodies and drops bodies
// with any other content coding, because it cannot search them.
func (r *response) mask(token string, signature []byte, b *body) {
	var s secrets
	if token != "" {
		s = append(s, token)
	}
	if len(signature) > 0 {
		s = append(s, string(signature))
	}
	if b != nil && b.form != nil && b.form.signature != "" {
		s = append(s, b.form.signature)
	}
	if len(s) == 0 {
		return
	}
	s.maskPrefix(r.Reason, true)
	for _, f := range r.Fields {
		s.maskPrefix(f.Value, true)
	}
	if !r.isEmpty() {
		r.maskBody(s)
	}
}

func (r *response) maskBody(s secrets) {
	switch strings.ToLower(r.contentCodings()) {
	case "", "identity":
	case "gzip", "x-gzip":
		r.body, r.length, r.decoded = &gunzipped{body: r.body}, -1, true
	default:
		r.body, r.length, r.decoded = strings.NewReader(""), 0, true
	}
	r.body = &maskedBody{body: r.body, secrets: s}
}

// contentCodings returns the content codings of the body, joined by commas.
func (r *response) contentCodings() string {
	var all []string
	for coding := range r.Elements("Content-Encoding") {
		all = append(all, string(coding))
	}
	return strings.Join(all, ",")
}

// gunzipped decodes a gzip body. It reads nothing before its first Read.
type gunzipped struct {
	body    io.Reader
	decoder *gzip.Reader
}

// Read implements io.Reader.
func (g *gunzipped) Read(p []byte) (int, error) {
	if g.decoder == nil {
		decoder, err := gzip.NewReader(g.body)
		if err != nil {
			return 0, err
		}
		g.decoder = decoder
	}
	return g.decoder.Read(p)
}

// maskPrefix masks the secrets in b in place and returns how many bytes of b are final.
// The other bytes may be the beginning of a secret; there are none if b is complete, that
// is, if no more bytes follow.
func (s secrets) maskPrefix(b []byte, complete bool) int {
	for i := 0; i < len(b); {
		n, partial := s.find(b[i:])
		switch {
		case n > 0:
			for j := range n {
				b[i+j] = '*'
			}
			i += n
		case partial && !complete:
			return i
		default:
			i++
		}
	}
	return len(b)
}

// find returns the length of the encoded secret at the beginning of b, or zero. partial
// reports that b may be the beginning of a secret.
func (s secrets) find(b []byte) (n int, partial bool) {
	for _, secret := range s {
		n, ok, more := matchEncoded(b, secret)
		if ok {
			return n, false
		}
		partial = partial || more
	}
	return 0, partial
}

// matchEncoded returns how many bytes at the beginning of b encode secret. Each character
// may be literal, percent-encoded once or twice, in hex, or escaped as in XML or JSON. partial
// reports that b ends within a possible match.
func matchEncoded(b []byte, secret string) (n int, ok, partial bool) {
	for k := range len(secret) {
		lengths, count, more := encodedLengths(b[n:], secret[k])
		partial = partial || more
		switch count {
		case 0:
			return 0, false, partial
		case 1:
			n += lengths[0]
			continue
		}
		for _, length := range lengths[:count] { // a % may be literal or begin an escape
			rest, ok, more := matchEncoded(b[n+length:], secret[k+1:])
			if ok {
				return n + length + rest, true, false
			}
			partial = partial || more
		}
		return 0, false, partial
	}
	return n, true, false
}

// encodedLengths returns the lengths of the encodings of c that match the beginning of b.
// partial reports that b ends within a possible encoding.
func encodedLengths(b []byte, c byte) (lengths [3]int, count int, partial bool) {
	if len(b) == 0 {
		return lengths, 0, true
	}
	add := func(n int) { lengths[count], count = n, count+1 }
	if b[0] == c {
		add(1)
	}
	switch b[0] {
	case '%':
		if len(b) >= 3 && isCode(b[1:3], 16, c) {
			add(3)
		}
		if len(b) >= 5 && b[1] == '2' && b[2] == '5' && isCode(b[3:5], 16, c) {
			add(5)
		}
		partial = len(b) < 3 || len(b) < 5 && b[1] == '2' && b[2] == '5'
	case '&':
		n, more := referenceLength(b, c)
		if partial = more; n > 0 {
			add(n)
		}
	case '\\':
		n, more := backslashLength(b, c)
		if partial = more; n > 0 {
			add(n)
		}
	}
	switch { // bytes in hex, as S3 shows those of a CanonicalRequest; blanks may separate them
	case !isHexDigit(b[0], c>>4):
	case len(b) == 1:
		partial = true
	case isHexDigit(b[1], c&15):
		add(2)
		if len(b) > 2 && b[2] == ' ' {
			add(3)
		}
	}
	return lengths, count, partial
}

// isHexDigit reports whether b is the hex digit of value, which is less than 16.
func isHexDigit(b, value byte) bool {
	const digits = "0123456789abcdef"
	return b == digits[value] || 'A' <= b && b <= 'F' && b|0x20 == digits[value]
}

// maxReference is the maximum length of a recognized XML reference. References with more
// leading zeros are not recognized.
const maxReference = len("&#x00002f;")

var namedReferences = map[string]byte{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

// referenceLength returns the length of an entity or character reference to c at the
// beginning of b (XML 1.0, 4.1), or zero.
func referenceLength(b []byte, c byte) (n int, partial bool) {
	for n = 1; n < len(b) && n < maxReference && b[n] != ';'; n++ {
	}
	switch {
	case n == maxReference:
		return 0, false
	case n == len(b):
		return 0, true
	}
	name := b[1:n]
	named, known := namedReferences[string(name)]
	switch {
	case known && named == c,
		len(name) > 1 && name[0] == '#' && isCode(name[1:], 10, c),
		len(name) > 2 && name[0] == '#' && name[1]|0x20 == 'x' && isCode(name[2:], 16, c):
		return n + 1, false
	}
	return 0, false
}

// backslashLength returns the length of a JSON escape of c at the beginning of b (RFC
// 8259, 7), or zero.
func backslashLength(b []byte, c byte) (n int, partial bool) {
	switch {
	case len(b) < 2, b[1] == 'u' && len(b) < 6:
		return 0, true
	case b[1] == 'u' && isCode(b[2:6], 16, c):
		return 6, false
	case b[1] == c && c != 'u':
		return 2, false
	}
	return 0, false
}

// isCode reports whether digits are the code of c.
func isCode(digits []byte, base int, c byte) bool {
	code, err := strconv.ParseUint(string(digits), base, 32)
	return err == nil && code == uint64(c)
}

// maskedBody masks secrets in a streamed body. It holds back only bytes that may be the
// beginning of a secret.
type maskedBody struct {
	body    io.Reader
	secrets secrets
	held    []byte // read and not yet final
	ready   []byte // final
	err     error  // Read returns it after ready
}

// Read implements io.Reader.
func (m *maskedBody) Read(p []byte) (int, error) {
	for len(m.ready) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		var piece [4 << 10]byte
		n, err := m.body.Read(piece[:])
		m.held, m.err = append(m.held, piece[:n]...), err
		final := m.secrets.maskPrefix(m.held, err != nil)
		m.ready, m.held = m.held[:final], m.held[final:]
	}
	n := copy(p, m.ready)
	m.ready = m.ready[n:]
	return n, nil
}
