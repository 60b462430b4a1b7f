package proxy

import (
	"bytes"
	"net/http"
	"strconv"
)

// checkFraming refuses a request whose end two readers could see in different
// places, which is how requests are smuggled past proxies (RFC 9112, 6.1):
// one with both Content-Length and Transfer-Encoding, of which net/http forgets
// the former, and an HTTP/1.0 one with Transfer-Encoding, which net/http
// forgets. The connection is closed, as the RFC demands.
func checkFraming(w http.ResponseWriter, r *http.Request) error {
	c, ok := connOf(r)
	if !ok {
		return nil
	}
	f, known := c.nextFraming()
	chunked := len(r.TransferEncoding) > 0
	if known && f.chunked == chunked && (!chunked || !f.sized) {
		return nil
	}
	w.Header().Set("Connection", "close")
	if known && f.sized {
		return errorf(http.StatusBadRequest, "InvalidRequest",
			"The request has both Content-Length and Transfer-Encoding. Send one of them.")
	}
	return errorf(http.StatusBadRequest, "InvalidRequest",
		"It is not certain where the request ends. Send HTTP/1.1 with one Content-Length or Transfer-Encoding: chunked, each on one line.")
}

// framer follows the messages that a client sends on one connection (RFC 9112,
// 6), to learn what net/http does not tell: whether the header of a request had
// both Transfer-Encoding and Content-Length. Bodies of known length are stepped
// over, whatever their size.
//
// What it cannot follow, it gives up on: the framing of that request and of
// those behind it is then unknown.
type framer struct {
	state  framerState
	remain int64     // bytes left of a body or a chunk
	line   [128]byte // the beginning of the current line
	n      int       // bytes of the line so far, the cut-off ones included

	complete int  // requests that have ended
	skipped  int  // empty lines in front of the next request
	held     bool // a CR, of which it is not known yet whether it begins an empty line

	framing       // of the header being read
	length  int64 // its Content-Length

	pending []framing // of the requests not yet asked for, oldest first
}

// framing is what a header says about the length of the body.
type framing struct{ chunked, sized bool }

type framerState int

const (
	inRequestLine framerState = iota
	inHeader
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	gaveUp
)

// maxPending bounds how many pipelined requests are remembered.
const maxPending = 1000

// maxEmptyLines is how many empty lines in front of a request are left out (RFC
// 9112, 2.2): some clients send one behind a body.
const maxEmptyLines = 2

// write takes the next bytes of the connection. It leaves out empty lines in front
// of a request and returns how many bytes of b remain. A CR at the end of b that may
// begin such a line is held until the next write.
func (f *framer) write(b []byte) (kept int) {
	for in := 0; in < len(b); {
		if f.atBoundary() && f.skipped < maxEmptyLines && b[in] == '\r' {
			if in+1 == len(b) {
				f.held = true
				break
			}
			if b[in+1] == '\n' {
				f.skipped++
				in += len("\r\n")
				continue
			}
		}
		n := f.step(b[in:])
		if kept < in {
			copy(b[kept:], b[in:in+n])
		}
		kept, in = kept+n, in+n
	}
	return kept
}

// atBoundary reports whether the next byte is the first of a request.
func (f *framer) atBoundary() bool { return f.state == inRequestLine && f.n == 0 }

// step takes at least one byte of b, and at most a line or a body. It returns how
// many it took.
func (f *framer) step(b []byte) int {
	switch f.state {
	case gaveUp:
		return len(b)
	case inBody, inChunk:
		n := min(int64(len(b)), f.remain)
		if f.remain -= n; f.remain == 0 {
			f.bodyDone()
		}
		return int(n)
	}
	end := bytes.IndexByte(b, '\n')
	part := b[:max(end, 0)]
	if end < 0 {
		part = b
	}
	if f.n < len(f.line) {
		copy(f.line[f.n:], part)
	}
	f.n += len(part)
	if end < 0 {
		return len(b)
	}
	f.lineDone()
	return end + 1
}

func (f *framer) bodyDone() {
	if f.state == inBody {
		f.requestDone()
	} else {
		f.state = inChunkEnd
	}
}

func (f *framer) requestDone() {
	f.state = inRequestLine
	f.complete++
}

// lineDone handles a complete line.
func (f *framer) lineDone() {
	cut := f.n > len(f.line)
	line := bytes.TrimSuffix(f.line[:min(f.n, len(f.line))], []byte("\r"))
	f.n = 0
	switch f.state {
	case inRequestLine:
		if len(bytes.Trim(line, "\r")) > 0 { // RFC 9112, 2.2: blank lines may come first
			f.state, f.framing, f.length, f.skipped = inHeader, framing{}, 0, 0
		}
	case inHeader:
		if len(line) == 0 {
			f.headerDone()
		} else {
			f.headerLine(line, cut)
		}
	case inChunkSize:
		f.chunkSize(line)
	case inChunkEnd:
		f.state = inChunkSize
	case inTrailer:
		if len(line) == 0 {
			f.requestDone()
		}
	case inBody, inChunk, gaveUp: // not read in lines
	}
}

func (f *framer) headerLine(line []byte, cut bool) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.chunked = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		f.sized = true
		length, err := strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 63)
		if err != nil || cut {
			f.state = gaveUp
		}
		f.length = int64(length)
	}
}

func (f *framer) headerDone() {
	f.pending = append(f.pending, f.framing)
	switch {
	case len(f.pending) > maxPending:
		f.state = gaveUp
	case f.chunked:
		f.state = inChunkSize
	case f.length > 0:
		f.state, f.remain = inBody, f.length
	default:
		f.requestDone()
	}
}

func (f *framer) chunkSize(line []byte) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	size, err := strconv.ParseUint(string(bytes.Trim(digits, " \t")), 16, 63)
	switch {
	case err != nil:
		f.state = gaveUp
	case size == 0:
		f.state = inTrailer
	default:
		f.state, f.remain = inChunk, int64(size)
	}
}

// next returns the framing of the next request, in the order of arrival.
func (f *framer) next() (framing, bool) {
	if len(f.pending) == 0 {
		return framing{}, false
	}
	first := f.pending[0]
	f.pending = f.pending[:copy(f.pending, f.pending[1:])]
	return first, true
}
