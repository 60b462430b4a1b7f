package http1

import "time"

// idleInput is the state of the receive buffer of an idle connection.
type idleInput int

const (
	inputNone idleInput = iota // empty
	inputData                  // at least one byte
	inputEOF                   // closed by the peer, or failed
)

// hasInput reports whether an idle connection to the origin is unusable: the origin
// closed it, or sent unsolicited bytes, which would be mistaken for the next response.
// It does not wait. TLS messages without application data, such as session tickets, do
// not count.
func (s *stream) hasInput() bool {
	if s.peeker == nil {
		s.peeker = newPeeker(s.raw)
	}
	found := s.peeker.peek()
	if s.tls == nil || found == inputEOF {
		return found != inputNone
	}
	if found == inputNone { // but crypto/tls may have buffered a record
		s.records.readBufferedOnly = true
		defer func() { s.records.readBufferedOnly = false }()
	} else {
		_ = s.raw.SetReadDeadline(time.Now().Add(ticketTimeout)) // if it fails, so does the read
		s.waiting = waitNone
	}
	var b [1]byte
	n, err := s.tls.Read(b[:])
	if n > 0 || !isDeadline(err) {
		return true
	}
	// On a busy machine, the deadline may pass before the read has read anything.
	return found == inputData && s.peeker.peek() != inputNone
}

// hasReceived reports whether the receive buffer has bytes. It does not wait.
func (s *stream) hasReceived() bool {
	if s.peeker == nil {
		s.peeker = newPeeker(s.raw)
	}
	return s.peeker.peek() == inputData
}

// ticketTimeout is the time to read a TLS message that has arrived, or is arriving.
const ticketTimeout = time.Millisecond
