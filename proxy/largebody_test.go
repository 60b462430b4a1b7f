package proxy_test

import (
	"fmt"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

const (
	large = 64 << 20
	// allowance is what one large body may cost in allocations: both copy
	// buffers, net/http's own, and the tests' end of the connections.
	allowance = 8 << 20
)

// allocated returns how many bytes f allocates in all goroutines.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// block repeats in a sequence. Its length divides no buffer size, so that lost,
// repeated or moved pieces are detected.
var block = func() []byte {
	b := make([]byte, 65521)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// sequence is an endless body.
type sequence struct{ at int }

func (s *sequence) Read(p []byte) (int, error) {
	n := copy(p, block[s.at:])
	s.at = (s.at + n) % len(block)
	return n, nil
}

func sum(r io.Reader) (uint64, error) {
	h := crc64.New(crcTable)
	_, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	return h.Sum64(), err
}

// Bodies are streamed through buffers of fixed size: allocations do not grow with them.
func TestLargeBody_FlatMemory(t *testing.T) {
	want, _ := sum(io.LimitReader(&sequence{}, large))

	t.Run("up", func(t *testing.T) {
		for _, chunked := range []bool{false, true} {
			sums := make(chan uint64, 1)
			r := start(t, setup{handle: func(a *arrival) {
				got, err := sum(a.Body)
				if err == nil {
					sums <- got
					a.respond(ok)
				}
			}})
			c := r.dial(t)
			spent := allocated(func() {
				sendLarge(c, chunked)
				if rep := c.reply("PUT"); rep.status != http.StatusOK {
					t.Fatalf("got\n%s%s", rep.head, rep.body)
				}
			})
			if got := <-sums; got != want {
				t.Error("the body arrived changed")
			}
			if spent > allowance {
				t.Errorf("chunked %v: %d KiB allocated for %d KiB", chunked, spent>>10, large>>10)
			}
		}
	})
	t.Run("down", func(t *testing.T) {
		for _, framing := range []string{fmt.Sprintf("Content-Length: %d", large), "Connection: close"} {
			r := start(t, setup{handle: func(a *arrival) {
				a.respond("HTTP/1.1 200 OK\r\n" + framing + "\r\n\r\n")
				_, _ = io.CopyBuffer(struct{ io.Writer }{a.conn}, io.LimitReader(&sequence{}, large), make([]byte, 64<<10))
				a.conn.Close()
			}})
			c := r.dial(t)
			var got uint64
			spent := allocated(func() {
				c.send("GET /large HTTP/1.0\r\nHost: localhost\r\n\r\n")
				if head := c.head(); !strings.Contains(head, "200 OK") {
					t.Fatal(head)
				}
				got, _ = sum(c.r)
			})
			if got != want {
				t.Errorf("%s: the body arrived changed", framing)
			}
			if spent > allowance {
				t.Errorf("%s: %d KiB allocated for %d KiB", framing, spent>>10, large>>10)
			}
		}
	})
}

func sendLarge(c *client, chunked bool) {
	const chunk = 64 << 10
	body := &sequence{}
	buf := make([]byte, chunk)
	if !chunked {
		c.send(fmt.Sprintf("PUT /large HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", large))
	} else {
		c.send("PUT /large HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	}
	for range large / chunk {
		_, _ = io.ReadFull(body, buf)
		if chunked {
			c.send("10000\r\n")
		}
		_, _ = c.Write(buf)
		if chunked {
			c.send("\r\n")
		}
	}
	if chunked {
		c.send("0\r\n\r\n")
	}
}
