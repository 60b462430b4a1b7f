package formdata

import "bytes"

// scanner finds the next delimiter, a line feed, two dashes and the boundary, in the
// content of a part that arrives in pieces. It holds back bytes that may be the beginning
// of a delimiter.
type scanner struct {
	// delimiter begins with CR LF. A boundary contains neither, so after a mismatch only
	// the last byte can begin a new match.
	delimiter []byte
	matched   int  // matched bytes of the delimiter after its CR
	cr        bool // a CR precedes the matched bytes
	shared    bool // the matched line feed ends the header of the part
}

func newScanner(boundary string) scanner {
	return scanner{delimiter: []byte("\r\n--" + boundary)}
}

// start begins the content of a part. If the content is empty, its delimiter may share the
// line end of the header.
func (s *scanner) start() { s.matched, s.cr, s.shared = 1, true, true }

// resume begins the bytes after a delimiter.
func (s *scanner) resume() { s.matched, s.cr, s.shared = 0, false, false }

// held returns the bytes that may be part of a delimiter.
func (s *scanner) held() []byte {
	switch {
	case s.shared:
		return s.delimiter[len("\r\n") : 1+s.matched]
	case s.cr:
		return s.delimiter[:1+s.matched]
	default:
		return s.delimiter[1 : 1+s.matched]
	}
}

// scan consumes n bytes of b, up to the end of a delimiter if found. It passes the bytes
// that are content to content, which must not retain them and may be nil.
func (s *scanner) scan(b []byte, content func(p []byte)) (n int, found bool) {
	before := s.held() // part of the delimiter, so it stays as it is
	n, found = s.match(b)
	known := len(before) + n - len(s.held())
	if content == nil || known <= 0 {
		return n, found
	}
	if early := min(known, len(before)); early > 0 {
		content(before[:early])
	}
	if known > len(before) {
		content(b[:known-len(before)])
	}
	return n, found
}

// match advances over b, up to the end of a delimiter.
func (s *scanner) match(b []byte) (n int, found bool) {
	line := s.delimiter[1:]
	for n < len(b) {
		switch c := b[n]; {
		case s.matched == 0:
			i := bytes.IndexByte(b[n:], '\n')
			if i < 0 {
				s.cr = b[len(b)-1] == '\r'
				return len(b), false
			}
			if i > 0 {
				s.cr = b[n+i-1] == '\r'
			}
			s.matched = 1
			n += i + 1
		case c == line[s.matched]:
			s.matched++
			n++
			if s.matched == len(line) {
				return n, true
			}
		default:
			s.resume()
		}
	}
	return n, false
}
