package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cosproxy/proxy"
)

func TestUpload_Framing(t *testing.T) {
	longest := strings.Repeat("a", 64<<10)
	tests := []struct {
		name, request string
		length        []string
		chunked       bool
		body          string
	}{
		{"known length", "PUT /key HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest", []string{"4"}, false, "test"},
		{"empty", "PUT /key HTTP/1.1\r\nContent-Length: 0\r\n\r\n", []string{"0"}, false, ""},
		{"chunked", "PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nte\r\n2\r\nst\r\n0\r\n\r\n", []string{"4"}, false, "test"},
		{"chunked, as long as is kept", "PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + longest + "\r\n0\r\n\r\n", []string{"65536"}, false, longest},
		{"chunked, longer", "PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + longest + "\r\n1\r\nb\r\n0\r\n\r\n", nil, true, longest + "b"},
		{"chunked, empty", "PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []string{"0"}, false, ""},
		{"chunked part", "PUT /key?partNumber=1&uploadId=u HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n", []string{"4"}, false, "test"},
		{"chunked list to delete", "POST /?delete HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n", []string{"4"}, false, "test"},
		{"chunked POST, empty", "POST /key?uploads HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []string{"0"}, false, ""},
		{"chunked DELETE, empty", "DELETE /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", nil, false, ""},
		{"chunked with extension and trailer", "PUT /key HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n4;x=y\r\ntest\r\n0\r\nX-Sum: 1\r\n\r\n", []string{"4"}, false, "test"},
		{"part", "PUT /key?partNumber=1&uploadId=u HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest", []string{"4"}, false, "test"},
		{"append", "POST /key?append&position=0 HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest", []string{"4"}, false, "test"},
		{"delete multiple", "POST /?delete HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest", []string{"4"}, false, "test"},
		{"DELETE with a body", "DELETE /key HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest", []string{"4"}, false, "test"},
		{"HTTP/1.0", "PUT /key HTTP/1.0\r\nContent-Length: 4\r\n\r\ntest", []string{"4"}, false, "test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			if rep := r.exchange(t, tt.request); rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			a := r.upstream.only(t)
			wire := a.wire()
			if !slices.Equal(wire["Content-Length"], tt.length) || (wire.Get("Transfer-Encoding") == "chunked") != tt.chunked {
				t.Errorf("arrived as\n%s", a.head)
			}
			if string(a.body) != tt.body {
				t.Errorf("body %q", a.body)
			}
			if _, ok := wire["Trailer"]; ok || len(a.Trailer) > 0 {
				t.Error("a trailer got through; COS knows none")
			}
		})
	}
}

// COS accepts a body of unknown length for PUT Object only. A chunked body that is too
// long to buffer has no known length.
func TestUpload_UnknownLengthRejected(t *testing.T) {
	r := start(t, setup{})
	for _, line := range []string{
		"PUT /key?partNumber=1&uploadId=u", "PUT /key?acl", "PUT /?cors", "POST /key?uploads", "POST /key?uploadId=u",
		"POST /key?append&position=0", "POST /?delete", "DELETE /key", "PUT /key with copy",
	} {
		t.Run(line, func(t *testing.T) {
			request, isCopy := strings.CutSuffix(line, " with copy")
			request += " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
			if isCopy {
				request += "x-cos-copy-source: " + cosHost + "/from\r\n"
			}
			rep := r.exchange(t, request+"\r\n10001\r\n"+strings.Repeat("a", 64<<10+1)+"\r\n0\r\n\r\n")
			doc := r.refused(t, rep, http.StatusLengthRequired, "MissingContentLength")
			if !strings.Contains(doc.Message, "Content-Length") {
				t.Errorf("the message does not say what to send: %s", doc.Message)
			}
		})
	}
}

// An HTTP/1.1 request without a length has no body; an HTTP/1.0 upload must have a
// length.
func TestUpload_NoLength(t *testing.T) {
	for _, line := range []string{"PUT /key HTTP/1.0", "POST /key?uploads HTTP/1.0", "POST /?delete HTTP/1.0"} {
		t.Run(line, func(t *testing.T) {
			r := start(t, setup{})
			c := r.dial(t)
			c.send(line + "\r\nHost: localhost\r\n\r\ntest")
			r.refused(t, c.reply("PUT"), http.StatusLengthRequired, "MissingContentLength")
		})
	}
	for _, line := range []string{"PUT /key HTTP/1.1", "POST /key?uploads HTTP/1.1", "DELETE /key HTTP/1.0", "GET /key HTTP/1.0", "HEAD /key HTTP/1.0"} {
		t.Run(line, func(t *testing.T) {
			r := start(t, setup{})
			if rep := r.exchange(t, line+"\r\n\r\n"); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if a := r.upstream.only(t); a.ContentLength != 0 {
				t.Errorf("arrived with %d bytes", a.ContentLength)
			}
		})
	}
}

// A success counts only if it is from COS.
func TestUpload_SuccessNotFromCOS(t *testing.T) {
	for _, status := range []string{"200 OK\r\nContent-Length: 0", "204 No Content"} {
		for _, up := range uploads {
			t.Run(status[:3]+", "+up.name, func(t *testing.T) {
				r := start(t, setup{handle: raw("HTTP/1.1 " + status + "\r\nETag: \"e\"\r\n\r\n")})
				rep := r.exchange(t, up.first+up.rest)
				if rep.status != http.StatusBadGateway || rep.cosError(t).Code != "BadGateway" || !strings.Contains(rep.body, "x-cos-request-id") {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
			})
		}
	}
	for _, status := range []string{"404 Not Found", "403 Forbidden"} {
		r := start(t, setup{handle: raw("HTTP/1.1 " + status + "\r\nContent-Length: 1\r\n\r\nx")})
		if rep := r.exchange(t, knownLength); rep.status/100 != 4 || rep.body != "x" {
			t.Errorf("%s: got\n%s%s", status, rep.head, rep.body)
		}
	}
}

// half is the first half of an upload, in both framings. The one of known length is too
// long to be buffered.
var half = []struct{ name, request, rest string }{
	{"known length", "PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 102400\r\n\r\n" + strings.Repeat("half", 12800), strings.Repeat("half", 12800)},
	{"chunked", "PUT /key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n19000\r\n" + strings.Repeat("half", 25600) + "\r\n", "4\r\nhalf\r\n0\r\n\r\n"},
}

// A success after half an upload cannot be valid.
func TestUpload_EarlySuccess(t *testing.T) {
	for _, h := range half {
		t.Run(h.name, func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				_, _ = io.ReadFull(a.Body, make([]byte, 4))
				a.respond(ok)
				a.waitGone()
			}})
			c := r.dial(t)
			c.send(h.request)
			rep := c.reply("PUT") // while the client has not sent the rest
			if rep.status != http.StatusBadGateway || rep.cosError(t).Code != "IncompleteBody" {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
		})
	}
}

// COS rejects an upload after its header. The client receives the response at once,
// even if it pauses within its body.
func TestUpload_EarlyError(t *testing.T) {
	const refusal = "<Error><Code>QuotaExceeded</Code></Error>"
	response := fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s", len(refusal), refusal)
	for _, h := range half {
		t.Run(h.name+", waiting client", func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				_, _ = io.ReadFull(a.Body, make([]byte, 1))
				a.respond(response)
				a.waitGone()
			}})
			c := r.dial(t)
			c.send(h.request)
			rep := c.reply("PUT")
			if rep.status != http.StatusForbidden || rep.body != refusal || rep.header.Get("Connection") != "close" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			r.upstream.only(t)
		})
	}
	t.Run("writing client", func(t *testing.T) {
		r := start(t, setup{handle: func(a *arrival) {
			_, _ = io.ReadFull(a.Body, make([]byte, 1<<20))
			a.respond(response)
			a.waitGone()
		}})
		c := r.dial(t)
		c.send("PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n")
		written := make(chan struct{})
		go func() {
			defer close(written)
			_, _ = io.CopyN(c, zeros{}, 1<<30)
		}()
		if rep := c.reply("PUT"); rep.status != http.StatusForbidden || rep.body != refusal {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		c.Close()
		<-written
	})
}

// A proxy error does not wait for the body either.
func TestUpload_ProxyErrorBeforeBody(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	for _, h := range half {
		c := r.dial(t)
		c.send(h.request)
		r.refused(t, c.reply("PUT"), http.StatusForbidden, "AccessDenied")
	}
}

// The proxy sends 100 Continue only when it needs the body.
func TestUpload_ExpectContinue(t *testing.T) {
	const request = "PUT /key HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	t.Run("wanted", func(t *testing.T) {
		r := start(t, setup{})
		c := r.dial(t)
		c.send(request)
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 100 ") {
			t.Fatal(head)
		}
		c.send("test")
		if rep := c.reply("PUT"); rep.status != http.StatusOK {
			t.Errorf("status %d: %s", rep.status, rep.body)
		}
		a := r.upstream.only(t)
		if _, sent := a.wire()["Expect"]; sent || string(a.body) != "test" {
			t.Errorf("arrived as\n%s%s", a.head, a.body)
		}
	})
	t.Run("refused", func(t *testing.T) {
		r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
		c := r.dial(t)
		c.send(request)
		r.refused(t, c.reply("PUT"), http.StatusForbidden, "AccessDenied")
	})
	t.Run("unknown expectation", func(t *testing.T) {
		r := start(t, setup{})
		rep := r.exchange(t, "GET /key HTTP/1.1\r\nExpect: 200-ok\r\n\r\n")
		if rep.status != http.StatusExpectationFailed || len(r.upstream.seen()) != 0 {
			t.Errorf("status %d", rep.status)
		}
	})
}

// If a client leaves while COS processes its upload, the request is canceled.
func TestUpload_ClientLeaves(t *testing.T) {
	taken, gone := make(chan struct{}), make(chan struct{})
	r := start(t, setup{handle: func(a *arrival) {
		_ = a.readBody()
		close(taken)
		a.waitGone()
		close(gone)
	}})
	c := r.dial(t)
	c.send(half[0].request + half[0].rest)
	<-taken
	c.Close()
	<-gone
	if log := r.drained(t); !strings.Contains(log, "http.response.status_code=499") {
		t.Errorf("log: %s", log)
	}
}

// An upload whose connection to COS fails is not retried: its body is gone.
func TestUpload_NotSentTwice(t *testing.T) {
	for _, h := range half {
		t.Run(h.name, func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				_ = a.readBody()
				a.conn.Close()
			}})
			c := r.dial(t)
			c.send(h.request + h.rest)
			if rep := c.reply("PUT"); rep.status != http.StatusBadGateway || rep.cosError(t).Code != "BadGateway" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			r.upstream.only(t)
		})
	}
}

// The same for a chunked body that was read completely before any of it was sent: it is
// one byte longer than the buffer limit.
func TestUpload_EarlySuccessReadAhead(t *testing.T) {
	for _, n := range []int{64<<10 + 1, 64<<10 + 2, 70_000} {
		r := start(t, setup{handle: func(a *arrival) {
			a.respond(ok)
			a.waitGone()
		}})
		rep := r.exchange(t, fmt.Sprintf("PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("x", n)))
		if rep.status != http.StatusBadGateway {
			t.Errorf("%d bytes: got\n%s%s", n, rep.head, rep.body)
		}
	}
}
