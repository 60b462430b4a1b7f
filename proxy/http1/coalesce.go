package http1

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
)

// maxRecord is more than any TLS record has on the wire (RFC 8446, 5.2; RFC 5246,
// 6.2.3).
const maxRecord = 5 + 16<<10 + 2<<10

// bulk is how large a read or write is for which records are coalesced.
const bulk = 32 << 10

// records is the connection under a tls.Conn. crypto/tls reads and writes one
// record of 16 KiB at a time; records moves many with one system call.
type records struct {
	net.Conn

	heard    bool // the peer has sent something
	dry      bool // reads fail instead of waiting: only what crypto/tls has read already is wanted
	bulkRead bool
	in       Piece // holds in.Bytes[r:w]; empty between large reads
	r, w     int

	mu     sync.Mutex // a reader writes too: alerts, key updates
	corked bool
	out    Piece
	n      int // bytes in out
}

// Read implements net.Conn.
func (c *records) Read(p []byte) (int, error) {
	if c.r == c.w {
		if c.dry {
			return 0, os.ErrDeadlineExceeded // crypto/tls goes on after it
		}
		if !c.bulkRead {
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
		c.in, c.r, c.w = piece, 0, n
	}
	n := copy(p, c.in.Bytes[c.r:c.w])
	if c.r += n; c.r == c.w {
		c.in.Return()
		c.r, c.w = 0, 0
	}
	return n, nil
}

func (c *records) read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.heard = c.heard || n > 0
	return n, err
}

// hasRecord reports whether the next record can be read without waiting.
func (c *records) hasRecord() bool { return c.w-c.r >= maxRecord }

// Write implements net.Conn.
func (c *records) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.corked {
		return c.Conn.Write(p)
	}
	if len(p) > len(c.out.Bytes)-c.n {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > len(c.out.Bytes) {
		return c.Conn.Write(p)
	}
	c.n += copy(c.out.Bytes[c.n:], p)
	return len(p), nil
}

func (c *records) flush() error {
	if c.n == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out.Bytes[:c.n])
	c.n = 0
	return err
}

// release gives back what a closed connection still holds.
func (c *records) release() {
	c.in.Return()
	c.r, c.w = 0, 0
}

// readBulk reads into a large p: all records that are at hand.
func readBulk(t *tls.Conn, c *records, p []byte) (n int, err error) {
	c.bulkRead = true
	n, err = t.Read(p)
	for err == nil && n < len(p) && c.hasRecord() {
		var more int
		more, err = t.Read(p[n:])
		n += more
	}
	c.bulkRead = false
	return n, err
}

// writeBulk writes a large p with few system calls. The last pieces are flushed
// also after an error, which then counts.
func writeBulk(t *tls.Conn, c *records, p []byte) (int, error) {
	piece, ok := borrowLarge()
	if !ok {
		return t.Write(p)
	}
	defer piece.Return()
	c.mu.Lock()
	c.out, c.corked = piece, true
	c.mu.Unlock()
	n, err := t.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	if flushErr := c.flush(); err == nil && flushErr != nil {
		n, err = 0, flushErr
	}
	c.out, c.n = Piece{}, 0
	return n, err
}
