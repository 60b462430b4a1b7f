package proxy_test

import (
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"cosproxy/proxy"
)

func crc(s string) uint64 { return crc64.Checksum([]byte(s), crc64.MakeTable(crc64.ECMA)) }

// inTurn handles the first requests with one step each, and all others with the last
// step.
func inTurn(steps ...func(*arrival)) func(*arrival) {
	var next atomic.Int64
	return func(a *arrival) {
		steps[min(int(next.Add(1)), len(steps))-1](a)
	}
}

func take(a *arrival) {
	if a.readBody() == nil {
		a.respond(ok)
	}
}

// refuse responds to the request header without reading the body.
func refuse(response string) func(*arrival) {
	return func(a *arrival) { a.respond(response) }
}

func drop(a *arrival) { a.conn.Close() }

// A large upload that COS rejects by its header, or whose connection fails before its
// body is sent, is retried completely.
func TestRetry_LargeUpload(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 20_000)
	known, _ := sized("PUT /key", len(body))
	requests := map[string]string{
		"known length": known,
		"chunked": fmt.Sprintf("PUT /key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
			len(body), body),
	}
	refusals := map[string]func(*arrival){
		"expired key": refuse(errorResponse(400, "ExpiredToken", "")),
		"revoked key": refuse(errorResponse(403, "InvalidAccessKeyId", "")),
		"connection":  drop,
		"slow down":   refuse(errorResponse(503, "SlowDown", "")),
	}
	for form, request := range requests {
		for name, refusal := range refusals {
			t.Run(form+", "+name, func(t *testing.T) {
				r := start(t, setup{handle: inTurn(refusal, take)})
				rep := r.exchange(t, request)
				seen := r.upstream.seen()
				if rep.status != http.StatusOK || len(seen) != 2 {
					t.Fatalf("status %d after %d attempts\n%s", rep.status, len(seen), rep.body)
				}
				if len(seen[1].body) != len(body) {
					t.Errorf("the second attempt carried %d bytes, want %d", len(seen[1].body), len(body))
				}
				if seen[0].wire().Get("Expect") != "100-continue" {
					t.Error("the first attempt did not ask before the body")
				}
			})
		}
	}
}

// A server that does not support Expect receives the body after the continue timeout,
// even if it has sent an informational response.
func TestRetry_ServerIgnoresExpect(t *testing.T) {
	for name, first := range map[string]string{"silent": "", "early hints": "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			request, body := sized("PUT /key", 300_000)
			r := start(t, setup{handle: func(a *arrival) {
				a.respond(first)
				a.Body.(*expected).asked = true
				take(a)
			}})
			rep := r.exchange(t, request)
			if a := r.upstream.only(t); rep.status != http.StatusOK || string(a.body) != body {
				t.Errorf("status %d, %d bytes arrived: %s", rep.status, len(a.body), rep.body)
			}
		})
	}
}

// A large upload cannot be retried once a byte of its body was sent.
func TestRetry_StartedUploadNotRetried(t *testing.T) {
	request, _ := sized("PUT /key", 300_000)
	r := start(t, setup{handle: inTurn(func(a *arrival) {
		_, _ = io.CopyN(io.Discard, a.Body, 10)
		a.conn.Close()
	}, take)})
	if rep := r.exchange(t, request); rep.status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", rep.status)
	}
	r.upstream.only(t)
}

func TestRetry_TransientErrors(t *testing.T) {
	const put = "PUT /key HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
	slow := raw(errorResponse(503, "SlowDown", ""))
	tests := []struct {
		name, request string
		fault         func(*arrival)
		attempts      int
	}{
		{"read", "GET /key HTTP/1.1\r\n\r\n", slow, 3},
		{"read, lost", "GET /key HTTP/1.1\r\n\r\n", drop, 3},
		{"small upload", put, slow, 3},
		{"small upload, lost", put, drop, 3},
		{"delete", "DELETE /key HTTP/1.1\r\n\r\n", slow, 3},
		{"first part of an upload", "POST /key?uploads HTTP/1.1\r\nContent-Length: 0\r\n\r\n", slow, 1},
		{"append", "POST /key?append&position=0 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", drop, 1},
		{"not to overwrite", strings.Replace(put, "\r\n", "\r\nx-cos-forbid-overwrite: true\r\n", 1), drop, 1},
		{"come back much later", "GET /key HTTP/1.1\r\n\r\n", raw("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{handle: tt.fault})
			if rep := r.exchange(t, tt.request); rep.status != http.StatusServiceUnavailable && rep.status != http.StatusBadGateway {
				t.Errorf("status %d", rep.status)
			}
			if n := len(r.upstream.seen()); n != tt.attempts {
				t.Errorf("%d attempts, want %d", n, tt.attempts)
			}
		})
	}
}

// If COS closes a connection after it has read a request, new or pooled, it may have
// executed the request.
func TestRetry_PooledConnection(t *testing.T) {
	const put, post = "PUT /key HTTP/1.1\r\n", "POST /key?append&position=0 HTTP/1.1\r\n"
	for header, attempts := range map[string]int{
		put:                                      2,
		"DELETE /key HTTP/1.1\r\n":               2,
		put + "If-None-Match: *\r\n":             1,
		put + "If-Match: \"e\"\r\n":              1,
		put + "x-cos-forbid-overwrite: true\r\n": 1,
		post:                                     1,
		post + "Idempotency-Key: a\r\n":          1,
		post + "X-Idempotency-Key: a\r\n":        1,
	} {
		t.Run(header, func(t *testing.T) {
			r := start(t, setup{handle: inTurn(take, func(a *arrival) { _ = a.readBody(); a.conn.Close() }, take)})
			c := r.dial(t)
			c.send("GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n")
			c.reply("GET")
			c.send(header + "Host: localhost\r\nContent-Length: 4\r\n\r\nbody")
			c.reply("PUT")
			if n := len(r.upstream.seen()) - 1; n != attempts {
				t.Errorf("%d attempts, want %d", n, attempts)
			}
		})
	}
}

// In an outage, retries stop when the budget is exhausted.
func TestRetry_Budget(t *testing.T) {
	r := start(t, setup{
		options: func(o *proxy.Options) {
			other := o.Routes[0]
			other.Name, other.PathPrefix = "other", "/other/"
			o.Routes = append(o.Routes, other)
		},
		handle: raw("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
	})
	const requests = 120
	c := r.dial(t)
	for range requests {
		c.send("GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n")
		c.reply("GET")
	}
	n := len(r.upstream.seen())
	if n < requests+100 || n > requests+100+requests/10+1 {
		t.Errorf("%d requests became %d, want 100 and a tenth more", requests, n)
	}
	// Another route has a budget of its own.
	c.send("GET /other/key HTTP/1.1\r\nHost: localhost\r\n\r\n")
	c.reply("GET")
	if more := len(r.upstream.seen()) - n; more != 3 {
		t.Errorf("a request on another route became %d", more)
	}
}

// A HEAD response of COS does not contain the error code.
func TestRejection_HEAD(t *testing.T) {
	r := start(t, setup{handle: func(a *arrival) {
		old := strings.Contains(a.wire().Get("Authorization"), "AKIDsentinel1")
		switch {
		case old && a.Method == http.MethodHead:
			a.respond("HTTP/1.1 403 Forbidden\r\nx-cos-request-id: id\r\nContent-Length: 100\r\n\r\n")
		case old:
			raw(errorResponse(403, "InvalidAccessKeyId", ""))(a)
		default:
			a.respond("HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nContent-Length: 7\r\n\r\n")
		}
	}})
	if rep := r.exchange(t, "HEAD /key HTTP/1.1\r\n\r\n"); rep.status != http.StatusOK || rep.header.Get("Content-Length") != "7" {
		t.Errorf("got\n%s", rep.head)
	}
	if got := r.creds.rejected(); len(got) != 1 {
		t.Errorf("reported as rejected: %q", got)
	}
}

const object = "0123456789abcdefghijklmnopqrstuvwxyz"

// cutAfter sends the header of the complete object and n bytes, and closes the
// connection.
func cutAfter(n int) func(*arrival) {
	return func(a *arrival) {
		a.respond(fmt.Sprintf("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: %d\r\nContent-Length: %d\r\n\r\n%s",
			crc(object), len(object), object[:n]))
		a.conn.Close()
	}
}

// rest sends the range of the object that Range requests.
func rest(etag, content string) func(*arrival) {
	return func(a *arrival) {
		var from, to int
		if _, err := fmt.Sscanf(a.wire().Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
			a.respond("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		a.respond(fmt.Sprintf("HTTP/1.1 206 Partial Content\r\nETag: %q\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n%s",
			etag, from, to, len(content), to-from+1, content[from:to+1]))
	}
}

func TestResume_Download(t *testing.T) {
	r := start(t, setup{handle: inTurn(cutAfter(10), drop, rest("e", object))})
	conditions := []string{"If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"}
	rep := r.exchange(t, "GET /key?response-content-type=a/b HTTP/1.1\r\n"+strings.Join(conditions, ": x\r\n")+": x\r\n\r\n")
	if rep.body != object || rep.err != nil {
		t.Errorf("got %q (%v)", rep.body, rep.err)
	}
	seen := r.upstream.seen()
	last := seen[len(seen)-1].wire()
	if last.Get("Range") != "bytes=10-35" || last.Get("If-Match") != `"e"` {
		t.Errorf("the rest was asked for with Range %q, If-Match %q", last.Get("Range"), last.Get("If-Match"))
	}
	for _, name := range conditions { // they were met, and might not be again
		if last[name] != nil || seen[0].wire()[name] == nil {
			t.Errorf("the rest was asked for with %s %q, the whole with %q", name, last[name], seen[0].wire()[name])
		}
	}
}

func TestResume_Range(t *testing.T) {
	r := start(t, setup{handle: inTurn(func(a *arrival) {
		a.respond("HTTP/1.1 206 Partial Content\r\nETag: \"e\"\r\nContent-Range: bytes 5-14/36\r\nContent-Length: 10\r\n\r\n567")
		a.conn.Close()
	}, rest("e", object))})
	if rep := r.exchange(t, "GET /key HTTP/1.1\r\nRange: bytes=5-14\r\n\r\n"); rep.body != object[5:15] || rep.err != nil {
		t.Errorf("got %q (%v)", rep.body, rep.err)
	}
}

// If a download cannot be resumed, the client's connection is broken; bytes are never
// mixed.
func TestResume_NotResumable(t *testing.T) {
	tests := map[string]struct {
		target string
		then   func(*arrival)
	}{
		"changed, 412":         {"/key", raw("HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n")},
		"changed, another tag": {"/key", rest("other", object)},
		"changed, longer":      {"/key", rest("e", object+"more")},
		"range not heeded":     {"/key", cutAfter(len(object))},
		"other bytes":          {"/key", rest("e", strings.ToUpper(object))},
		"processed":            {"/key?imageMogr2/thumbnail/10x", rest("e", object)},
		"gone":                 {"/key", raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: inTurn(cutAfter(10), tt.then)})
			if rep := r.get(t, tt.target); rep.err == nil || rep.body == object {
				t.Errorf("the client was given %q as a complete body", rep.body)
			}
		})
	}
}

// Resumptions without a byte stop after a few, and all of them when the budget is
// exhausted.
func TestResume_Bounded(t *testing.T) {
	for name, fault := range map[string]func(*arrival){"lost": drop, "refused": raw("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: inTurn(cutAfter(10), fault)})
			if rep := r.get(t, "/key"); rep.err == nil || rep.body != object[:10] {
				t.Errorf("got %q (%v)", rep.body, rep.err)
			}
			if n := len(r.upstream.seen()); n != 4 {
				t.Errorf("%d requests, want the download and 3 for its rest", n)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := start(t, setup{inMemory: true, handle: func(a *arrival) { // each attempt brings one byte
			from, status := 0, "200 OK"
			if part := a.wire().Get("Range"); part != "" {
				_, _ = fmt.Sscanf(part, "bytes=%d-", &from)
				status = fmt.Sprintf("206 Partial Content\r\nContent-Range: bytes %d-199/200", from)
			}
			a.respond(fmt.Sprintf("HTTP/1.1 %s\r\nETag: \"e\"\r\nContent-Length: %d\r\n\r\nx", status, 200-from))
			a.conn.Close()
		}})
		if rep := r.get(t, "/key"); rep.err == nil {
			t.Error("the budget has no end")
		}
		if n := len(r.upstream.seen()); n < 100 || n > 120 {
			t.Errorf("%d requests, want 100 and a tenth more", n)
		}
	})
}

// A weak entity tag does not guarantee equal bytes (RFC 9110, 13.1.1).
func TestResume_WeakTag(t *testing.T) {
	r := start(t, setup{handle: inTurn(func(a *arrival) {
		a.respond("HTTP/1.1 200 OK\r\nETag: W/\"e\"\r\nContent-Length: 36\r\n\r\n" + object[:10])
		a.conn.Close()
	}, rest(`W/"e`, object))})
	if rep := r.get(t, "/key"); rep.err == nil || rep.body == object {
		t.Errorf("the client was given %q as a complete body", rep.body)
	}
	r.upstream.only(t)
}

func TestChecksum_Compared(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	upload := func(target, body string) string {
		return fmt.Sprintf("PUT %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
	}
	responseCRC := func(sum uint64) func(*arrival) {
		return func(a *arrival) {
			if a.readBody() == nil {
				a.respond(fmt.Sprintf("HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: %d\r\nContent-Length: 0\r\n\r\n", sum))
			}
		}
	}
	for _, body := range []string{"small", large} {
		for _, target := range []string{"/key", "/key?partNumber=1&uploadId=u"} {
			r := start(t, setup{handle: responseCRC(crc(body))})
			if rep := r.exchange(t, upload(target, body)); rep.status != http.StatusOK {
				t.Errorf("%d bytes to %s, stored as sent: %d %s", len(body), target, rep.status, rep.body)
			}
			r = start(t, setup{handle: responseCRC(crc(body) + 1)})
			if rep := r.exchange(t, upload(target, body)); rep.status != http.StatusBadGateway || rep.cosError(t).Code != "ChecksumMismatch" {
				t.Errorf("%d bytes to %s, stored differently: %d %s", len(body), target, rep.status, rep.body)
			}
		}
	}
	// The checksum in these responses is of other bytes than their body.
	for _, request := range []string{
		"PUT /key HTTP/1.1\r\nx-cos-copy-source: " + cosHost + "/from\r\nContent-Length: 4\r\n\r\nbody",
		"PUT /key HTTP/1.1\r\nPic-Operations: {}\r\nContent-Length: 4\r\n\r\nbody",
		"POST /key?append&position=0 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
		"PUT /key?acl HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
	} {
		r := start(t, setup{handle: responseCRC(1)})
		if rep := r.exchange(t, request); rep.status != http.StatusOK {
			t.Errorf("%s: status %d", request, rep.status)
		}
	}
	damaged := func(a *arrival) {
		a.respond(fmt.Sprintf("HTTP/1.1 200 OK\r\nx-cos-hash-crc64ecma: 1\r\nContent-Length: %d\r\n\r\n%s", len(large), large))
	}
	r := start(t, setup{handle: damaged})
	if rep := r.get(t, "/key"); rep.err == nil {
		t.Error("a damaged download was given to the client completely")
	}
	compressed := func(a *arrival) {
		a.respond(fmt.Sprintf("HTTP/1.1 200 OK\r\nETag: W/\"e\"\r\nContent-Encoding: gzip\r\nx-cos-hash-crc64ecma: %d\r\nContent-Length: 3\r\n\r\nzip", crc(object)))
	}
	r = start(t, setup{handle: compressed})
	if rep := r.exchange(t, "GET /key HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n"); rep.err != nil || rep.body != "zip" {
		t.Errorf("compressed in transit: %q (%v)", rep.body, rep.err)
	}
	r = start(t, setup{handle: damaged, options: func(o *proxy.Options) { o.SkipChecksums = true }})
	if rep := r.get(t, "/key"); rep.err != nil || rep.body != large {
		t.Errorf("without checksums: %v", rep.err)
	}
}

// An error response in the middle of an upload is forwarded, whatever checksum it has.
func TestChecksum_ErrorResponse(t *testing.T) {
	request, _ := sized("PUT /key", 4<<20)
	for range 5 {
		r := start(t, setup{handle: func(a *arrival) {
			_, _ = io.CopyN(io.Discard, a.Body, 1000)
			a.respond("HTTP/1.1 404 Not Found\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: 1\r\nContent-Length: 0\r\n\r\n")
		}})
		c := r.dial(t)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = io.WriteString(c, request)
		}()
		if rep := c.reply("PUT"); rep.status != http.StatusNotFound {
			t.Errorf("status %d: %s", rep.status, rep.body)
		}
		c.Close()
		<-sent
	}
}
