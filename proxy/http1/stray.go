package http1

import "time"

// arrival is what has arrived on an idle connection.
type arrival int

const (
	nothing arrival = iota
	someBytes
	theEnd
)

// hasInput reports whether something has arrived on an idle connection to the origin:
// its end, or bytes that no request asked for, which would be taken for the next
// response. It does not wait. Messages of TLS itself, such as session tickets, do not
// count.
func (s *stream) hasInput() bool {
	if s.peeker == nil {
		s.peeker = newPeeker(s.raw)
	}
	found := s.peeker.peek()
	if s.tls == nil || found == theEnd {
		return found != nothing
	}
	if found == nothing { // but crypto/tls may have read more than it has returned
		s.records.dry = true
		defer func() { s.records.dry = false }()
	} else {
		_ = s.raw.SetReadDeadline(time.Now().Add(ticketTime)) // a closed connection shows in the read
		s.reading = forNothing
	}
	var b [1]byte
	n, err := s.tls.Read(b[:])
	return n > 0 || !isDeadline(err)
}

// ticketTime is enough to read a message that is there.
const ticketTime = time.Millisecond
