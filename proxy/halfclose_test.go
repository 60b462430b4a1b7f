package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// halfClose closes the client's side for writing.
func (c *client) halfClose() {
	c.t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// A client that sends a complete request and half-closes gets its response, however
// long COS takes.
func TestHalfClose_GetsResponse(t *testing.T) {
	large := strings.Repeat("y", 300_000)
	for _, request := range []string{
		"GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /key HTTP/1.0\r\n\r\n",
		"PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
		fmt.Sprintf("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(large), large),
		fmt.Sprintf("PUT /key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large),
		// The beginning of another request does not end the first.
		"GET /key HTTP/1.1\r\nHost: localhost\r\n\r\nGET /cut HTT",
	} {
		t.Run(fmt.Sprintf("%.30q", request), func(t *testing.T) {
			t.Parallel()
			r := start(t, setup{handle: func(a *arrival) {
				if a.readBody() != nil {
					return
				}
				time.Sleep(50 * time.Millisecond) // for the end of the connection to be seen
				a.respond(ok)
			}})
			c := r.dial(t)
			c.send(request)
			c.halfClose()
			if rep := c.reply("GET"); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			c.end()
			r.upstream.only(t)
		})
	}
}

// A FIN on an idle connection closes it. A FIN within a body is an interrupted upload
// (TestUpload_InterruptedNeverCompletes).
func TestHalfClose_IdleConnectionEnds(t *testing.T) {
	r := start(t, setup{})
	c := r.dial(t)
	for range 2 {
		c.send(noBody)
		c.reply("GET")
	}
	c.halfClose()
	if rest := c.end(); rest != "" {
		t.Errorf("the connection goes on with %q", rest)
	}
}

// An empty line before a request is ignored, for any split into pieces (RFC 9112, 2.2).
func TestEmptyLines(t *testing.T) {
	const put = "PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
	const post = "POST /key?uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
	const chunked = "PUT /key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for _, tt := range []struct {
		name  string
		wire  string
		count int // of responses
		last  int // status
	}{
		{"first", "\r\n" + noBody, 1, 200},
		{"two", "\r\n\r\n" + noBody, 1, 200},
		{"three", "\r\n\r\n\r\n" + noBody, 1, 400},
		{"after a body", put + "\r\n" + noBody, 2, 200},
		{"after chunks", chunked + "\r\n" + noBody, 2, 200},
		{"after POST", post + "\r\n\r\n" + noBody, 2, 200},
		{"after no body", noBody + "\r\n" + put + "\r\n\r\n" + noBody, 3, 200},
		{"a CR alone", "\r" + noBody, 1, 400},
		{"a LF alone", "\n" + noBody, 1, 400},
	} {
		for _, pieces := range []int{1 << 20, 1} {
			t.Run(fmt.Sprint(tt.name, " ", pieces), func(t *testing.T) {
				t.Parallel()
				r := start(t, setup{})
				c := r.dial(t)
				_ = c.Conn.(*net.TCPConn).SetNoDelay(true)
				for wire := tt.wire; wire != ""; {
					n := min(pieces, len(wire))
					if _, err := io.WriteString(c, wire[:n]); err != nil {
						break // refused already
					}
					wire = wire[n:]
				}
				for i := range tt.count {
					want := http.StatusOK
					if i == tt.count-1 {
						want = tt.last
					}
					if rep := c.reply("PUT"); rep.status != want {
						t.Fatalf("response %d: status %d, want %d\n%s", i, rep.status, want, rep.body)
					}
				}
			})
		}
	}
}

// An unsupported expectation gets an error document and is logged and counted, even if
// the client sends its body before it reads the response.
func TestExpectation_Unknown(t *testing.T) {
	for _, size := range []int{3, 4 << 20} {
		r := start(t, setup{})
		c := r.dial(t)
		c.send(fmt.Sprintf("PUT /key HTTP/1.1\r\nHost: localhost\r\nExpect: 200-maybe\r\nContent-Length: %d\r\n\r\n", size))
		if _, err := io.CopyN(c, zeros{}, int64(size)); err != nil {
			t.Fatalf("while sending on: %v", err)
		}
		doc := r.refused(t, c.reply("PUT"), http.StatusExpectationFailed, "ExpectationFailed")
		if !strings.Contains(doc.Message, "100-continue") {
			t.Errorf("the message is %q", doc.Message)
		}
		if log := r.drained(t); strings.Count(log, "http.response.status_code=417") != 1 {
			t.Errorf("log: %s", log)
		}
		if m := r.metrics(t); !strings.Contains(m, `cosproxy_requests_total{action="unknown",code="417",route=""} 1`) {
			t.Errorf("it is not counted:\n%s", m)
		}
	}
}
