package http1

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
)

// maxRecord is an upper bound of the size of a TLS record on the wire (RFC 8446, 5.2;
// RFC 5246, 6.2.3).
const maxRecord = 5 + 16<<10 + 2<<10

// bulkSize is the minimum size of a read or write for which records are coalesced.
const bulkSize = 32 << 10

// records is the connection under a tls.Conn. crypto/tls makes one system call per
// record of at most 16 KiB; records reads and writes many records with one system
// call.
type records struct {
	net.Conn

	received         bool  // at least one byte came from the peer
	readBufferedOnly bool  // reads fail instead of waiting, to get what crypto/tls has buffered
	coalesceReads    bool  // during readBulk
	readPiece        Piece // unread bytes in Bytes[r:w]; the zero Piece if there are none
	r, w             int

	mu         sync.Mutex // crypto/tls also writes while it reads: alerts, key updates
	corked     bool       // during writeBulk
	writePiece Piece      // unwritten bytes in Bytes[:writeLen]
	writeLen   int
}

// Read implements net.Conn.
func (c *records) Read(p []byte) (int, error) {
	if c.r == c.w {
		if c.readBufferedOnly {
			return 0, os.ErrDeadlineExceeded // crypto/tls stays usable after a timeout
		}
		if !c.coalesceReads {
			return c.read(p)
		}
		piece, ok := borrowLarge()
		if !ok {
			return c.read(p)
		}
		n, err := c.read(piece.Bytes)
		if n == 0 {
			piece.Return()
			return 0, err
		}
		c.readPiece, c.r, c.w = piece, 0, n
	}
	n := copy(p, c.readPiece.Bytes[c.r:c.w])
	if c.r += n; c.r == c.w {
		c.readPiece.Return()
		c.r, c.w = 0, 0
	}
	return n, nil
}

func (c *records) read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received = c.received || n > 0
	return n, err
}

// hasRecord reports whether a complete record is buffered. It may return false if
// there is a short one.
func (c *records) hasRecord() bool { return c.w-c.r >= maxRecord }

// Write implements net.Conn.
func (c *records) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.corked {
		return c.Conn.Write(p)
	}
	if len(p) > len(c.writePiece.Bytes)-c.writeLen {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > len(c.writePiece.Bytes) {
		return c.Conn.Write(p)
	}
	c.writeLen += copy(c.writePiece.Bytes[c.writeLen:], p)
	return len(p), nil
}

func (c *records) flush() error {
	if c.writeLen == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.writePiece.Bytes[:c.writeLen])
	c.writeLen = 0
	return err
}

// release returns the read buffer of a closed connection.
func (c *records) release() {
	c.readPiece.Return()
	c.r, c.w = 0, 0
}

// readBulk reads into a large p as many records as are available without waiting, at
// least one.
func readBulk(t *tls.Conn, c *records, p []byte) (n int, err error) {
	c.coalesceReads = true
	n, err = t.Read(p)
	for err == nil && n < len(p) && c.hasRecord() {
		var more int
		more, err = t.Read(p[n:])
		n += more
	}
	c.coalesceReads = false
	return n, err
}

// writeBulk writes a large p with few system calls. It flushes the buffered records
// even after an error of crypto/tls, and returns the first error.
func writeBulk(t *tls.Conn, c *records, p []byte) (int, error) {
	piece, ok := borrowLarge()
	if !ok {
		return t.Write(p)
	}
	defer piece.Return()
	c.mu.Lock()
	c.writePiece, c.corked = piece, true
	c.mu.Unlock()
	n, err := t.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	if flushErr := c.flush(); err == nil && flushErr != nil {
		n, err = 0, flushErr
	}
	c.writePiece, c.writeLen = Piece{}, 0
	return n, err
}
