package proxy_test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	bothLengths  = "PUT /smuggler HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n"
	knownLength  = "PUT /known HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest"
	chunkedBody  = "PUT /chunked HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n"
	noBody       = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"
	blankLines   = "\r\n\r\n" // which are skipped before a request
	postWithBody = "POST /post?append HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest"
	optionsStar  = "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"
	refusedGet   = "GET // HTTP/1.1\r\nHost: localhost\r\n\r\n"
	looksAsIfTwo = "PUT /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 57\r\n\r\nPUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
)

// Equal Content-Lengths count as one.
func TestFraming_EqualLengths(t *testing.T) {
	r := start(t, setup{})
	rep := r.exchange(t, "PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\ncontent-length: 4\r\n\r\ntest")
	if rep.status != 200 {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	if a := r.upstream.only(t); len(a.Header["Content-Length"]) > 1 || string(a.body) != "test" {
		t.Errorf("%q arrived with\n%s", a.body, a.head)
	}
}

// A request with both Content-Length and Transfer-Encoding is rejected at any position
// on a connection, and the connection is closed.
func TestFraming_TwoLengthsRejected(t *testing.T) {
	tests := []struct {
		name     string
		before   []string
		arriving int
	}{
		{"first", nil, 0},
		{"after GET", []string{noBody}, 1},
		{"after a body", []string{knownLength}, 1},
		{"after chunks", []string{chunkedBody, chunkedBody}, 2},
		{"after a refused request", []string{refusedGet}, 0},
		{"after OPTIONS *", []string{optionsStar}, 0},
		{"after blank lines", []string{postWithBody, blankLines}, 1},
		{"after a body that looks like a request", []string{looksAsIfTwo}, 1},
		{"after all of them", []string{noBody, looksAsIfTwo, refusedGet, postWithBody, blankLines, chunkedBody, optionsStar, knownLength}, 5},
	}
	for _, tt := range tests {
		for _, pipelined := range []bool{false, true} {
			name := tt.name
			if pipelined {
				name += ", pipelined"
			}
			t.Run(name, func(t *testing.T) {
				r := start(t, setup{})
				c := r.dial(t)
				if pipelined {
					c.send(strings.Join(tt.before, "") + bothLengths)
				}
				for _, request := range tt.before {
					if !pipelined {
						c.send(request)
					}
					if request != blankLines {
						c.reply("GET")
					}
				}
				if !pipelined {
					c.send(bothLengths)
				}
				c.send(noBody) // must find the connection closed
				rep := c.reply("PUT")
				if rep.status != http.StatusBadRequest || rep.cosError(t).Code != "InvalidRequest" || rep.header.Get("Connection") != "close" {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
				if rest := c.end(); rest != "" {
					t.Errorf("the connection goes on with %q", rest)
				}
				if seen := r.upstream.seen(); len(seen) != tt.arriving {
					t.Errorf("%d requests arrived, want %d", len(seen), tt.arriving)
				}
			})
		}
	}
}

// Nothing of such a request is forwarded, for any spelling of the two fields.
func TestFraming_TwoLengthsDisguised(t *testing.T) {
	for _, headers := range []string{
		"Transfer-Encoding: chunked\r\nContent-Length: 4",
		"content-length:4\r\nTRANSFER-ENCODING:chunked",
		"Content-Length: 0\r\nTransfer-Encoding: chunked",
		"Content-Length: 4\r\nContent-Length: 4\r\nTransfer-Encoding: chunked",
		"Content-Length:\r\n 4\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nContent-Length:" + strings.Repeat(" ", 200) + "4",
		"Transfer-Encoding: chunked\r\nContent-Length: 4x",
		"Transfer-Encoding: chunked\r\nContent-Length: -1",
		"Transfer-Encoding: chunked\r\nContent-Length: 99999999999999999999",
		"Transfer-Encoding: chunked\r\nContent-Length:",
		"Transfer-Encoding:\r\n chunked\r\nContent-Length: 4",
		"Transfer-Encoding: chunked\nContent-Length: 4",
	} {
		t.Run(headers, func(t *testing.T) {
			r := start(t, setup{})
			c := r.dial(t)
			c.send("PUT /key HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n\r\n0\r\n\r\n" + noBody)
			r.refused(t, c.reply("PUT"), http.StatusBadRequest, "InvalidRequest")
			if rest := c.end(); rest != "" || len(r.upstream.seen()) != 0 {
				t.Errorf("the connection goes on with %q", rest)
			}
		})
	}
}

// HTTP/1.0 has no chunked coding: some servers would read the first chunk as a new
// request (RFC 9112, 6.1).
func TestFraming_ChunksInHTTP10Rejected(t *testing.T) {
	for _, length := range []string{"", "Content-Length: 0\r\n", "Content-Length: 61\r\n"} {
		r := start(t, setup{})
		c := r.dial(t)
		c.send("PUT /key HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n" + length +
			"\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\nX: 1234567890123456\r\n\r\n")
		r.refused(t, c.reply("PUT"), http.StatusBadRequest, "InvalidRequest")
		if rest := c.end(); rest != "" || len(r.upstream.seen()) != 0 {
			t.Errorf("%q: the connection goes on with %q", length, rest)
		}
	}
}
