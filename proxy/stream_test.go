package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// COS responds to Complete Multipart Upload and Copy with 200 at once, then sends
// blanks while it works, then the result, which may be an error. All of it is forwarded
// as it arrives.
func TestStream_BlanksOfComplete(t *testing.T) {
	step := make(chan string)
	finish := sync.OnceFunc(func() { close(step) })
	r := start(t, setup{handle: func(a *arrival) {
		_ = a.readBody()
		a.respond("HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nx-cos-request-id: id\r\nTransfer-Encoding: chunked\r\n\r\n")
		for piece := range step {
			a.respond(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
		}
		a.respond("0\r\n\r\n")
	}})
	t.Cleanup(finish)
	c := r.dial(t)
	c.send("POST /key?uploadId=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n<>")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") { // before any byte of the body
		t.Fatal(head)
	}
	for _, piece := range []string{" ", "\n", "<Error><Code>InternalError</Code></Error>"} {
		step <- piece
		want := fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
			t.Fatalf("got %q (%v), want %q", got, err, want)
		}
	}
	finish()
	end := make([]byte, len("0\r\n\r\n"))
	if _, err := io.ReadFull(c.r, end); err != nil || string(end) != "0\r\n\r\n" {
		t.Errorf("the end is %q (%v)", end, err)
	}
}

// A body of known length is forwarded piece by piece too. Here its bytes look like an
// error of net/http's server.
func TestStream_PiecesOfKnownLength(t *testing.T) {
	const lookalike = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	pieces := []string{"first", lookalike, "HTTP/1.1 500 x", "last"}
	step := make(chan string)
	finish := sync.OnceFunc(func() { close(step) })
	r := start(t, setup{handle: func(a *arrival) {
		a.respond(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(strings.Join(pieces, ""))))
		for piece := range step {
			a.respond(piece)
		}
	}})
	t.Cleanup(finish)
	c := r.dial(t)
	c.send("GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for i, piece := range pieces {
		step <- piece
		if i == 0 {
			c.head()
		}
		got := make([]byte, len(piece))
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != piece {
			t.Fatalf("got %q (%v), want %q", got, err, piece)
		}
	}
	finish()
	c.send("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n") // the next request is read as such
	if rep := c.reply("GET"); rep.status != http.StatusHTTPVersionNotSupported {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
}

// A download that COS interrupts must not look complete to the client.
func TestStream_InterruptedDownload(t *testing.T) {
	tests := []struct{ name, response string }{
		{"known length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"},
		{"known length, nothing yet", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"},
		{"chunked, between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
		{"chunked, in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"},
		{"chunked, no last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n"},
		{"chunked, broken", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf"},
		{"403, known length", "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhalf"},
		{"403, chunked", "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				a.respond(tt.response)
				a.conn.Close()
			}})
			c := r.dial(t)
			c.send("GET /key HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			// Before the first byte it is an error of the proxy's own.
			rest := c.end()
			head, body, _ := strings.Cut(rest, "\r\n\r\n")
			if strings.Contains(body, "0\r\n\r\n") || strings.Contains(head, "Content-Length: 4") || len(body) >= 10 && strings.Contains(head, "Content-Length: 10") {
				t.Errorf("the client saw a clean end:\n%s", rest)
			}
			if log := r.drained(t); !strings.Contains(log, "error.message=") {
				t.Errorf("the log is silent about it: %s", log)
			}
		})
	}
}

// If a client leaves while its interrupted download is resumed, the connection to COS is
// closed.
func TestStream_ClientLeavesResumedDownload(t *testing.T) {
	resumed, gone := make(chan struct{}), make(chan struct{})
	r := start(t, setup{handle: func(a *arrival) {
		if a.Header.Get("Range") == "" {
			a.respond("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 100\r\n\r\nx")
			a.conn.Close()
			return
		}
		close(resumed)
		a.waitGone()
		close(gone)
	}})
	c := r.dial(t)
	c.send("GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n")
	c.head()
	<-resumed
	c.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the connection to COS is still open")
	}
}

// If a client leaves a download, the connection to COS is closed.
func TestStream_ClientLeavesDownload(t *testing.T) {
	tests := []struct {
		name, response string
		headSeen       bool
	}{
		{"before the header", "", false},
		{"in a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", true},
		{"in a body of known length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			arrived, gone := make(chan struct{}), make(chan struct{})
			r := start(t, setup{handle: func(a *arrival) {
				a.respond(tt.response)
				close(arrived)
				a.waitGone()
				close(gone)
			}})
			c := r.dial(t)
			c.send("GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n")
			<-arrived
			if tt.headSeen {
				c.head()
			}
			c.Close()
			<-gone
			status := "http.response.status_code=200"
			if !tt.headSeen {
				status = "http.response.status_code=499"
			}
			if log := r.drained(t); !strings.Contains(log, status) || strings.Contains(log, "level=ERROR") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// A client that stops reading also stops reading from COS: bodies are not buffered.
func TestStream_SlowReader(t *testing.T) {
	const size = 256 << 20 // more than all socket buffers together
	blocked := make(chan error, 1)
	r := start(t, setup{handle: func(a *arrival) {
		a.respond(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
		_, err := io.CopyN(a.conn, zeros{}, size)
		blocked <- err
	}})
	c := r.dial(t)
	c.send("GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n")
	c.head()
	c.Close()
	if err := <-blocked; err == nil {
		t.Error("the complete body was read from COS for a client that read none of it")
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// For an HTTP/1.0 client the end of the connection is the end of the body, so a
// truncated body must end with a reset.
func TestStream_InterruptedDownloadHTTP10(t *testing.T) {
	cut := make(chan struct{})
	r := start(t, setup{handle: func(a *arrival) {
		a.respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
		<-cut
		a.conn.Close()
	}})
	c := r.dial(t)
	c.send("GET /key HTTP/1.0\r\nHost: localhost\r\n\r\n")
	c.head()
	if _, err := io.ReadFull(c.r, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	close(cut)
	if rest, err := io.ReadAll(c.r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %q end with %v", rest, err)
	}
}

// HTTP/1.0 has no chunked coding: the body ends with the connection.
func TestStream_HTTP10PlainBody(t *testing.T) {
	r := start(t, setup{handle: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n")})
	rep := r.exchange(t, "GET /key HTTP/1.0\r\n\r\n")
	if rep.body != "test" || rep.header.Get("Transfer-Encoding") != "" || errors.Is(rep.err, io.ErrUnexpectedEOF) {
		t.Errorf("got\n%s%q", rep.head, rep.body)
	}
}
