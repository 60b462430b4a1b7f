package formdata

import (
	"errors"
	"io"
)

// tail is how far the file and what follows it have come.
type tail struct {
	dashes   int  // of the two behind a boundary that was found
	found    bool // a boundary was found, and its dashes have not come yet
	closed   bool
	shared   bool  // the closing delimiter shares the line end of the header
	epilogue int64 // bytes behind the closing delimiter
}

// Read returns the rest of the body, from the first byte of the file through the
// closing delimiter and what follows it. If something is wrong, it fails before it
// returns the last byte of the announced length: the recipient then never has the
// whole body, and stores nothing. The error stays.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.state != inFile {
		return 0, errors.New("formdata: the file was not reached yet")
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

// FileComplete reports whether File got the whole file. It is false also where readers
// may differ on what that is: the form continues after its closing boundary with more
// than a line end, or the boundary of an empty file shares the line end of its header.
func (r *Reader) FileComplete() bool {
	return r.tail.closed && !r.tail.shared && r.tail.epilogue <= int64(len("\r\n"))
}

// check takes the next bytes. An error concerns one of them: if none of them is
// passed on, COS does not get what follows the file.
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

// closingDash takes a byte behind a boundary: only a closing delimiter may follow the
// file, and only one.
func (r *Reader) closingDash(c byte) error {
	t := &r.tail
	if c != '-' {
		return malformed("Something follows the file in the form. The part named file must be the last one; nothing was stored.")
	}
	if t.dashes++; t.dashes < len("--") {
		return nil
	}
	switch {
	case t.closed:
		return malformed("The form is closed twice; nothing was stored.")
	case !r.scanner.cr:
		return malformed("The closing boundary of the form does not follow a line end of CR and LF; nothing was stored.")
	}
	t.found, t.closed, t.shared, t.dashes = false, true, r.scanner.shared, 0
	r.scanner.resume()
	return nil
}
