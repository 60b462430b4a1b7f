package formdata

import (
	"errors"
	"io"
)

// tail is the state of reading the file and everything after it.
type tail struct {
	dashes   int   // dashes read after a boundary, of two
	found    bool  // a boundary was found, but not yet its dashes
	closed   bool  // the closing delimiter was read
	shared   bool  // the closing delimiter shares the line end of the part header
	epilogue int64 // bytes after the closing delimiter
}

// Read returns the rest of the body, from the first byte of the file to the end. If the
// form is malformed, it fails before it returns the last byte of the announced length, so
// that the recipient never receives the complete body and stores nothing. All later calls
// return the same error.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.state != inFile {
		return 0, errors.New("formdata: Next has not returned the file yet")
	}
	n, err := r.r.Read(p)
	r.left -= int64(n)
	r.err = r.check(p[:n])
	atEnd := r.sized && r.left <= 0 || err == io.EOF // a wrapped io.EOF is a failure of the connection
	if r.err == nil && atEnd && !r.tail.closed {
		r.err = notClosedError()
	}
	if r.err != nil {
		return 0, r.err
	}
	return n, err
}

// FileEnded reports whether File received the last byte of the file.
func (r *Reader) FileEnded() bool { return r.tail.closed }

// FileComplete reports whether File received the complete file. It is also false if
// parsers may disagree on the end of the file: the form has more than a line end after its
// closing boundary, or the boundary of an empty file shares the line end of its header.
func (r *Reader) FileComplete() bool {
	return r.tail.closed && !r.tail.shared && r.tail.epilogue <= int64(len("\r\n"))
}

// check checks the next bytes. After an error, the caller must not forward any of them, so
// that COS does not receive the bytes after the file.
func (r *Reader) check(b []byte) error {
	for len(b) > 0 {
		if r.tail.found {
			if err := r.closingDash(b[0]); err != nil {
				return err
			}
			b = b[1:]
			continue
		}
		file := r.File
		if r.tail.closed {
			file = nil
		}
		n, found := r.scanner.scan(b, file)
		r.tail.found = found
		if r.tail.closed {
			r.tail.epilogue += int64(n)
		}
		b = b[n:]
	}
	return nil
}

// closingDash checks a byte after a boundary: exactly one closing delimiter may follow the
// file.
func (r *Reader) closingDash(c byte) error {
	t := &r.tail
	if c != '-' {
		return malformed("The form has a part after the file; nothing was stored. Send the file as the last part.")
	}
	if t.dashes++; t.dashes < len("--") {
		return nil
	}
	switch {
	case t.closed:
		return malformed("The form has two closing boundaries; nothing was stored. Send one.")
	case !r.scanner.cr:
		return malformed("The closing boundary of the form does not follow a CR LF; nothing was stored. End lines with CR LF.")
	}
	t.found, t.closed, t.shared, t.dashes = false, true, r.scanner.shared, 0
	r.scanner.resume()
	return nil
}
