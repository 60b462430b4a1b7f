package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"testing"

	"cosproxy/proxy"
)

const (
	bothLengths  = "PUT /smuggler HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n"
	knownLength  = "PUT /known HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest"
	chunkedBody  = "PUT /chunked HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n"
	noBody       = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"
	blankLines   = "\r\n\r\n" // which net/http skips after a POST
	postWithBody = "POST /post?append HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest"
	optionsStar  = "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n" // which net/http answers by itself if it may
	refusedGet   = "GET // HTTP/1.1\r\nHost: localhost\r\n\r\n"
	looksAsIfTwo = "PUT /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 57\r\n\r\nPUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
)

// A request with both Content-Length and Transfer-Encoding is refused, wherever
// on a connection it comes, and the connection ends with it.
func TestTwoLengthsAreRefused(t *testing.T) {
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

// However the two headers are written, nothing of the request is forwarded.
func TestTwoLengthsDisguised(t *testing.T) {
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

// HTTP/1.0 knows no chunks: net/http takes the first chunk for a new request,
// another server would not (RFC 9112, 6.1).
func TestChunksInHTTP10AreRefused(t *testing.T) {
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

// The framer must read a connection as net/http does. Where a request would be
// let through although it has both lengths, or be refused without need, it
// does not.
func FuzzFramer(f *testing.F) {
	all := noBody + looksAsIfTwo + refusedGet + postWithBody + blankLines + chunkedBody + optionsStar + knownLength + bothLengths
	for _, seed := range []string{
		all, noBody, bothLengths,
		"PUT / HTTP/1.0\nTransfer-Encoding: chunked\n\n0\n\n",
		"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"\n\"\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n" + bothLengths,
		"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\r\n\n" + bothLengths,
		"GET / HTTP/1.1\r\nX: a\r\n \r\n\tTransfer-Encoding: chunked\r\nContent-Length:\r\n 1\r\n\r\nx" + noBody,
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(64))
	}
	f.Fuzz(func(t *testing.T, wire []byte, piece uint8) {
		wire, got := proxy.Framings(wire, max(1, int(piece)))
		source := bytes.NewReader(wire)
		r := bufio.NewReader(source)
		for i := 0; ; i++ {
			head := wire[len(wire)-source.Len()-r.Buffered():]
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			header, refused := readHead(head)
			if refused {
				return
			}
			_, sized := header["Content-Length"]
			_, encoded := header["Transfer-Encoding"]
			chunked := len(req.TransferEncoding) > 0
			passes := i < len(got) && got[i].Chunked == chunked && (!chunked || !got[i].Sized)
			switch {
			case passes && (encoded != chunked || encoded && sized):
				t.Fatalf("request %d of %q passes", i, wire)
			case passes && got[i].Sized != sized:
				t.Fatalf("request %d of %q: sized %v", i, wire, got[i].Sized)
			case !passes && !encoded && (!sized || plainLength.Match(head)):
				t.Fatalf("request %d of %q is refused", i, wire)
			case !passes:
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			if req.Method == http.MethodPost { // as net/http's server does
				next, _ := r.Peek(4)
				_, _ = r.Discard(len(next) - len(bytes.TrimLeft(next, "\r\n")))
			}
		}
	})
}

// plainLength is a Content-Length without tricks.
var plainLength = regexp.MustCompile(`(?i)\nContent-Length: *[0-9]{1,18}\r?\n`)

// readHead reads the header that begins wire, past blank lines and the request
// line. Names and values that net/http's server refuses end the connection.
func readHead(wire []byte) (h textproto.MIMEHeader, refused bool) {
	_, rest, _ := bytes.Cut(bytes.TrimLeft(wire, "\r\n"), []byte("\n"))
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(rest))).ReadMIMEHeader()
	if err != nil {
		return nil, true
	}
	for name, values := range h {
		for _, v := range values {
			if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				return nil, true
			}
		}
		if strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c) }) {
			return nil, true
		}
	}
	return h, false
}
