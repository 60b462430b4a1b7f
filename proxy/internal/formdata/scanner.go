package formdata

import "bytes"

// scanner finds the next delimiter in the content of a part, in whatever pieces it
// comes: a line feed, two dashes and the boundary. What may be the beginning of one
// is held back until it is known to be content.
type scanner struct {
	// delimiter has CR and LF in front of the dashes. A boundary has neither, so that
	// a mismatch can only begin a new match with its last byte.
	delimiter []byte
	matched   int  // bytes of the delimiter after its CR that the input ends with
	cr        bool // a CR precedes these
	shared    bool // the line feed that matched ends the header of the part
}

func newScanner(boundary string) scanner {
	return scanner{delimiter: []byte("\r\n--" + boundary)}
}

// start begins the content of a part. The delimiter of an empty one may share the
// line end of the header.
func (s *scanner) start() { s.matched, s.cr, s.shared = 1, true, true }

// resume begins what follows a delimiter that was found.
func (s *scanner) resume() { s.matched, s.cr, s.shared = 0, false, false }

// held returns the bytes that may belong to a delimiter.
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

// scan takes the next bytes up to the end of a delimiter. n is how many these are,
// and found whether there is one. content, unless nil, gets those that belong to the
// part; it must not keep them.
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
