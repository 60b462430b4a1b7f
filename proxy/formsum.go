package proxy

import "bytes"

// fileSum is the CRC-64 of a form's file. Where that ends shows only with the
// closing delimiter behind it, so the last bytes are held back.
type fileSum struct {
	crc     uint64
	closing []byte // line end, "--", boundary, "--"
	last    []byte // not in crc yet; as long as closing and a line end, at most
}

func newFileSum(boundary string) *fileSum {
	return &fileSum{closing: []byte("\r\n--" + boundary + "--")}
}

// write takes the next bytes of the file and of what follows it.
func (s *fileSum) write(b []byte) {
	if s == nil {
		return
	}
	kept := len(s.closing) + len("\r\n")
	if early := len(s.last) + len(b) - kept; early > 0 {
		n := min(early, len(s.last))
		s.crc = updateCRC(s.crc, s.last[:n])
		s.last = s.last[:copy(s.last, s.last[n:])]
		s.crc = updateCRC(s.crc, b[:early-n])
		b = b[early-n:]
	}
	s.last = append(s.last, b...)
}

// value returns the checksum of the file; ok is false if it is not known, since the
// form has something behind its end, or an empty file in another way than usual.
func (s *fileSum) value() (crc uint64, ok bool) {
	if s == nil {
		return 0, false
	}
	file, _, ok := bytes.Cut(s.last, s.closing)
	return updateCRC(s.crc, file), ok
}
