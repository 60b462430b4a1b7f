package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// allowedDifferences are the reasons for which http1 may accept a request that net/http
// rejects, each with the section of the RFC.
var allowedDifferences = []struct {
	clause string
	holds  func(rest []byte, h *RequestHead) bool
}{
	{"RFC 9112, 2.2: empty lines before a request line are skipped", func(rest []byte, _ *RequestHead) bool {
		return bytes.HasPrefix(rest, []byte("\r\n"))
	}},
	{"RFC 9112, 3.2: http1 keeps the bytes of a target; its caller checks whether it is a URI", func(_ []byte, h *RequestHead) bool {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(h.Method) + " " + string(h.Target) + " HTTP/1.1\r\nHost: a\r\n\r\n")))
		return err != nil && r == nil
	}},
	{"RFC 9110, 9.1: methods are case-sensitive tokens; net/http reserves PRI for HTTP/2", func(_ []byte, h *RequestHead) bool {
		return string(h.Method) == "PRI"
	}},
}

// FuzzRequest compares http1 with net/http on a stream of requests. If both accept a
// request, head, body and the start of the next request must be the same.
func FuzzRequest(f *testing.F) {
	for _, s := range desyncCorpus {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		ours := &reader{src: bytes.NewReader(stream)}
		var h RequestHead
		for {
			rest := unreadBytes(t, ours, stream)
			raw, err := ours.readHead(h.raw[:0], testLimits, maxEmptyLines)
			h.raw = raw
			if err != nil || h.parse(testLimits) != nil {
				return
			}
			theirs := bufio.NewReader(bytes.NewReader(rest))
			r, err := http.ReadRequest(theirs)
			if err != nil {
				for _, e := range allowedDifferences {
					if e.holds(rest, &h) {
						return
					}
				}
				t.Fatalf("net/http rejects %q: %v", rest, err)
			}
			compareHeads(t, &h, r)
			var b Body
			b.reset(ours, h.length, testLimits)
			got, err := io.ReadAll(&b)
			want, theirErr := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			if theirErr != nil {
				t.Fatalf("net/http rejects the body of %q: %v", rest, theirErr)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("the body of %q is %q, net/http reads %q", rest, got, want)
			}
			after, _ := io.ReadAll(theirs)
			if mine := unreadBytes(t, ours, stream); !bytes.Equal(mine, after) {
				t.Fatalf("after %q comes %q, by net/http %q", rest, mine, after)
			}
			if h.close || len(after) == 0 {
				return
			}
		}
	})
}

// unreadBytes returns the part of stream that r has not consumed.
func unreadBytes(t *testing.T, r *reader, stream []byte) []byte {
	t.Helper()
	src, ok := r.src.(*bytes.Reader)
	if !ok {
		t.Fatal("the source is not a bytes.Reader")
	}
	return stream[len(stream)-src.Len()-r.buffered():]
}

func compareHeads(t *testing.T, h *RequestHead, r *http.Request) {
	t.Helper()
	if string(h.Method) != r.Method || string(h.Target) != r.RequestURI || h.Minor != r.ProtoMinor || h.close != r.Close {
		t.Fatalf("read %s %s %d close %v, by net/http %s %s %d close %v", h.Method, h.Target, h.Minor, h.close, r.Method, r.RequestURI, r.ProtoMinor, r.Close)
	}
	length := r.ContentLength
	if h.length != length {
		t.Fatalf("the length is %d, by net/http %d", h.length, length)
	}
	// net/http removes these fields or adds them.
	special := []string{"Host", "Transfer-Encoding", "Trailer", "Connection", "Cache-Control", "Content-Length"}
	fields := http.Header{}
	for _, f := range h.Fields {
		name := textproto.CanonicalMIMEHeaderKey(string(f.Name))
		if !slices.Contains(special, name) {
			fields[name] = append(fields[name], string(f.Value))
		}
	}
	for name, values := range r.Header {
		if !slices.Contains(special, name) && !slices.Equal(fields[name], values) {
			t.Fatalf("%s is %q, by net/http %q", name, fields[name], values)
		}
	}
	if len(fields) > len(r.Header) {
		t.Fatalf("fields %q, by net/http %q", fields, r.Header)
	}
}

// FuzzResponse does the same for responses.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nrest",
		"HTTP/1.1 200 OK\r\n\r\nto the close",
		"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabcdef",
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, stream []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		ours := &reader{src: bytes.NewReader(stream)}
		raw, err := ours.readHead(nil, testLimits, 0)
		h := ResponseHead{Head: Head{raw: raw}}
		if err != nil || h.parse(testLimits, method) != nil || h.Status < 200 {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(stream)), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http rejects %q: %v", stream, err)
		}
		if h.Status != theirs.StatusCode {
			t.Fatalf("the status of %q is %d, by net/http %d", stream, h.Status, theirs.StatusCode)
		}
		defer theirs.Body.Close()
		var b Body
		b.reset(ours, h.length, testLimits)
		got, err := io.ReadAll(&b)
		want, theirErr := io.ReadAll(theirs.Body)
		if err == nil && (theirErr != nil || !bytes.Equal(got, want)) {
			t.Fatalf("the body of %q is %q, net/http reads %q and %v", stream, got, want, theirErr)
		}
	})
}

// desyncCorpus are requests of which two servers could see the end in different
// places, by the classes that public research on request smuggling has found.
var desyncCorpus = []string{
	// CL.TE, TE.CL, TE.TE.
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
	"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
	// Lengths.
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nab",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 \r\n\r\naGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\na",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	// Chunks.
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\nhello\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100000000000000000001\r\na\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n",
	// Line ends, folding, targets, versions.
	"GET / HTTP/1.1\nHost: a\n\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
	"GET / HTTP/1.1\r\n\tHost: a\r\nHost: b\r\n\r\n",
	"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET //a/..%2f HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\xe7%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
	"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
	"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\nConnection: x, close\r\n\r\n",
}
