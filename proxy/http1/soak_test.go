package http1

import (
	"bufio"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forwarder is a proxy that forwards every request and response.
type forwarder struct {
	client *Client
	t      *testing.T
}

func (f *forwarder) handle(x *Exchange) {
	call := &Call{Method: string(x.Request.Method)}
	var b Builder
	b.Request(call.Method, string(x.Request.Target))
	b.Field("Host", "origin.test")
	switch n := x.Request.Length(); {
	case n > 0:
		b.Int("Content-Length", n)
	case n == LengthChunked:
		b.Field("Transfer-Encoding", "chunked")
	}
	if n := x.Request.Length(); n != 0 {
		call.Stream, call.Length, call.Expect = exchangeSource{x}, n, n > 1000
	} else {
		call.Repeat = func() bool { return call.Method == http.MethodGet }
	}
	if call.Expect {
		b.Field("Expect", "100-continue")
	}
	call.Head, _ = b.Bytes()
	resp, err := f.client.Do(x.Canceler(), call)
	if err != nil {
		x.Response.Start(502, "")
		_ = x.Response.Send(0, nil)
		return
	}
	defer resp.Close()
	x.Response.Start(resp.Status, "")
	if sum := resp.Get("X-Sum"); sum != nil {
		x.Response.Copy(Field{[]byte("X-Sum"), sum})
	}
	f.copy(x, resp)
}

func (f *forwarder) copy(x *Exchange, resp *Response) {
	piece := BorrowPiece(resp.Length())
	defer piece.Return()
	err := x.Response.Send(resp.Length(), nil)
	for err == nil && !resp.Body.Ended() {
		var n int
		n, err = resp.Body.Read(piece.Bytes)
		if n > 0 {
			if _, werr := x.Response.Write(piece.Bytes[:n]); werr != nil {
				err = werr
			}
		}
	}
	if err != nil && !isEOF(err) {
		x.Response.Abort()
	}
}

type exchangeSource struct{ x *Exchange }

func (s exchangeSource) Read(p []byte) (int, error) { return s.x.Body.Read(p) }
func (s exchangeSource) Interrupt(cause error)      { s.x.InterruptBody(cause) }

// breakingConn is a connection that is closed or reset after limit bytes.
type breakingConn struct {
	net.Conn
	limit atomic.Int64
}

func (c *breakingConn) use(n int, err error) (int, error) {
	if c.limit.Add(-int64(n)) < 0 {
		_ = c.Conn.(*net.TCPConn).SetLinger(rand.IntN(2) - 1)
		_ = c.Close() // the result does not matter
		return n, net.ErrClosed
	}
	return n, err
}

func (c *breakingConn) Read(p []byte) (int, error)  { return c.use(c.Conn.Read(p)) }
func (c *breakingConn) Write(p []byte) (int, error) { return c.use(c.Conn.Write(p)) }

// breakSometimes gives half of the connections a random limit.
func breakSometimes(c net.Conn) *breakingConn {
	k := &breakingConn{Conn: c}
	k.limit.Store(1 << 40)
	if rand.IntN(2) == 0 {
		k.limit.Store(rand.Int64N(1 << rand.IntN(22)))
	}
	return k
}

func checksum(b []byte) string { return strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 16) }

// Connections break on both sides at random. Each body that is received completely equals
// the body that was sent.
func TestSoak_RandomDisconnects(t *testing.T) {
	var uploads, downloads atomic.Int64
	origin, _ := startOrigin(t, nil, func(o *originConn) {
		c := breakSometimes(o.Conn)
		o = &originConn{Conn: c, r: bufio.NewReader(c)}
		for soakOrigin(t, o, &uploads) {
		}
	})
	client, err := NewClient(ClientOptions{Origin: origin, StallTimeout: testTimeout, ContinueTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	f := &forwarder{client: client, t: t}
	_, address := serve(t, ServerOptions{Handler: f.handle})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 60 {
				soakClient(t, address, &downloads)
			}
		})
	}
	all.Wait()
	if uploads.Load() < 20 || downloads.Load() < 20 {
		t.Errorf("only %d uploads and %d downloads were complete", uploads.Load(), downloads.Load())
	}
	eventually(t, "return of all large buffers", func() bool { return len(largeSlots) == 0 })
}

func soakOrigin(t *testing.T, o *originConn, complete *atomic.Int64) bool {
	r := o.request()
	if r == nil {
		return false
	}
	if r.Method == http.MethodPut {
		if r.Header.Get("Expect") != "" && rand.IntN(4) > 0 {
			o.send("HTTP/1.1 100 Continue\r\n\r\n")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		complete.Add(1)
		if want := strings.TrimPrefix(r.RequestURI, "/"); checksum(body) != want {
			t.Errorf("an upload of %d bytes has checksum %s, want %s", len(body), checksum(body), want)
		}
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return true
	}
	body := strings.Repeat(string(rune('a'+rand.IntN(26))), rand.IntN(1<<rand.IntN(20)))
	head := "HTTP/1.1 200 OK\r\nX-Sum: " + checksum([]byte(body)) + "\r\n"
	if rand.IntN(2) == 0 {
		o.send(head + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
		return true
	}
	o.send(head + "Transfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := 1 + rand.IntN(len(body))
		o.send(strconv.FormatInt(int64(n), 16) + "\r\n" + body[:n] + "\r\n")
		body = body[n:]
	}
	o.send("0\r\n\r\n")
	return true
}

// soakClient sends up to four requests on one connection.
func soakClient(t *testing.T, address string, complete *atomic.Int64) {
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	c := breakSometimes(raw)
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(testTimeout))
	r := bufio.NewReader(c)
	for range 4 {
		body := []byte(strings.Repeat(string(rune('a'+rand.IntN(26))), rand.IntN(1<<rand.IntN(20))))
		request, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://a/", nil)
		if rand.IntN(2) == 0 {
			request.Method, request.URL = http.MethodPut, &url.URL{Scheme: "http", Host: "a", Path: "/" + checksum(body)}
			request.Body, request.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
			if rand.IntN(2) == 0 {
				request.ContentLength = -1
			}
		}
		if request.Write(c) != nil {
			return
		}
		resp, err := http.ReadResponse(r, request)
		if err != nil {
			return
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			if errors.Is(err, io.EOF) {
				t.Error("an incomplete body ended properly")
			}
			return
		}
		if resp.StatusCode == http.StatusOK && request.Method == http.MethodGet {
			complete.Add(1)
			if want := resp.Header.Get("X-Sum"); checksum(got) != want {
				t.Errorf("a download of %d bytes has checksum %s, want %s", len(got), checksum(got), want)
			}
		}
		if resp.Close {
			return
		}
	}
}
