package proxy_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	cos "github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/proxy"
)

// scripted is a proxy in a synctest bubble whose COS sends scripted responses.
type scripted struct {
	*rig
	asked int          // requests so far
	open  atomic.Int64 // connections to COS
}

// startScripted starts a proxy. script returns the response to request n, counted from
// 0, and whether the connection ends with it.
func startScripted(t *testing.T, script func(n int, a *arrival) (response string, end bool)) *scripted {
	t.Helper()
	s := &scripted{}
	var mu sync.Mutex
	s.rig = start(t, setup{
		inMemory: true,
		creds:    newCredentials(2),
		handle: func(a *arrival) {
			if a.readBody() != nil {
				return
			}
			mu.Lock()
			n := s.asked
			s.asked++
			response, end := script(n, a)
			mu.Unlock()
			a.respond(response)
			if end {
				a.conn.Close()
			}
		},
		options: func(o *proxy.Options) {
			o.Logger, o.Registerer = nil, nil
			dial := o.Upstream.Dial
			o.Upstream.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				s.open.Add(1)
				return &openConn{Conn: c, open: &s.open}, nil
			}
		},
	})
	return s
}

// openConn is a connection that is counted while it is open.
type openConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close implements net.Conn.
func (c *openConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// ask sends a request, and checks that no connection to COS is left open at the end.
func (s *scripted) ask(t *testing.T, method, body string) reply {
	t.Helper()
	c := s.dial(t)
	_ = c.SetDeadline(time.Now().Add(time.Hour))
	raw := method + " /k HTTP/1.1\r\nHost: localhost\r\n"
	if body != "" {
		raw += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	c.send(raw + "\r\n" + body)
	rep := c.reply(method)
	c.Close()
	s.drained(t)
	s.proxy.Close()
	synctest.Wait()
	if n := s.open.Load(); n != 0 {
		t.Errorf("%d connections to COS were not closed", n)
	}
	return rep
}

// isOwn reports whether a response is a proxy error.
func (rep reply) isOwn() bool { return rep.header.Get("Server") == "cosproxy" }

var (
	contentRange = regexp.MustCompile(`^bytes ([0-9]{1,9})-([0-9]{1,9})/([0-9]{1,9})$`)
	askedRange   = regexp.MustCompile(`^bytes=([0-9]+)-([0-9]+)$`)
)

// download is a scripted download that is interrupted, and the responses to the
// requests for its rest.
type download struct {
	t        *testing.T
	object   string
	first    int    // of the object, that the client gets
	want     string // that the client gets
	code     int
	cut      int // bytes of the first response
	etag     string
	checksum string

	times     int // responses for the rest that are made up
	status    int
	restETag  string
	restRange string
	give      int  // bytes of such a response
	cleanly   bool // it ends as its framing says: chunked, or with the connection if give is even
}

// respond is the script.
func (d *download) respond(n int, a *arrival) (response string, end bool) {
	fields := "ETag: " + d.etag + "\r\nx-cos-hash-crc64ecma: " + d.checksum + "\r\n"
	if n == 0 || !isValue(d.etag) || !isValue(d.checksum) { // the head was refused, and the request sent again
		if d.code == http.StatusPartialContent {
			fields += fmt.Sprintf("Content-Range: bytes %d-%d/%d\r\n", d.first, d.first+len(d.want)-1, len(d.object))
		}
		text := d.want[:min(d.cut, len(d.want))]
		return rawHead(d.code, fields+length(d.want)) + text, len(text) < len(d.want)
	}
	first, last, ok := d.checkContinuation(a)
	if !ok {
		return "", true
	}
	rest := d.object[first : last+1]
	if n > d.times {
		fields += fmt.Sprintf("Content-Range: bytes %d-%d/%d\r\n", first, last, len(d.object))
		return rawHead(http.StatusPartialContent, fields+length(rest)) + rest, false
	}
	fields = "ETag: " + d.restETag + "\r\nx-cos-hash-crc64ecma: " + d.checksum + "\r\nContent-Range: " + d.restRange + "\r\n"
	text := strings.Repeat("\xff", d.give)
	if d.status == http.StatusPartialContent && d.etag == d.restETag && isRange(d.restRange, first, last, len(d.object)) {
		text = (rest + text)[:d.give] // a response that says it is the rest is the rest
	}
	switch {
	case !d.cleanly: // after a longer one are bytes of no response
		return rawHead(d.status, fields+length(rest)) + text, len(text) < len(rest) || d.status != http.StatusPartialContent
	case d.give%2 == 0:
		return rawHead(d.status, fields) + text, true
	}
	return rawHead(d.status, fields+"Transfer-Encoding: chunked\r\n") + chunk(text), d.status != http.StatusPartialContent
}

// length is the field that frames a body.
func length(body string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(body)) }

// checkContinuation checks that a request is for the rest of the same object, and
// returns its range. The rig verifies its signature.
func (d *download) checkContinuation(a *arrival) (first, last int, ok bool) {
	end := d.first + len(d.want) - 1
	h := a.wire()
	parts := askedRange.FindStringSubmatch(h.Get("Range"))
	if parts == nil || !strings.HasPrefix(d.etag, `"`) || !slices.Equal(h["If-Match"], []string{d.etag}) {
		d.t.Errorf("the rest was asked for, after the entity tag %q, with\n%s", d.etag, a.head)
		return 0, 0, false
	}
	first, _ = strconv.Atoi(parts[1])
	last, _ = strconv.Atoi(parts[2])
	if first < d.first || first > last || last != end {
		d.t.Errorf("%s was asked for, up to %d", h["Range"], end)
		return 0, 0, false
	}
	return first, last, true
}

func isRange(text string, first, last, size int) bool {
	parts := contentRange.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	for i, want := range []int{first, last, size} {
		if n, _ := strconv.Atoi(parts[i+1]); n != want {
			return false
		}
	}
	return true
}

// FuzzResume interrupts a download, and responds arbitrarily to the requests for its
// rest. The client must receive the requested bytes of the object in order, or a broken
// connection, or, if no byte has arrived, a proxy error; never bytes of another
// response or a truncated body that looks complete.
//
// Values that cannot be on the wire are replaced by similar ones: a line end in a field
// by a full stop, and a status has at least three digits.
func FuzzResume(f *testing.F) {
	const etag = `"e1"`
	honest := "bytes 10-63/64"
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(54), false, uint8(1), "ok")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(5), true, uint8(1), "")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(6), true, uint8(1), "")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(5), true, uint8(200), "1")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(0), true, uint8(200), "ok")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(255), false, uint8(1), "ok") // more than was asked for
	f.Add(uint8(5), uint8(20), etag, uint8(5), uint16(206), etag, "bytes 10-20/64", uint8(11), false, uint8(1), "ok")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(54), false, uint8(1), "1")
	f.Add(uint8(0), uint8(255), etag, uint8(64), uint16(206), etag, honest, uint8(54), false, uint8(1), "1")
	f.Add(uint8(0), uint8(255), etag, uint8(0), uint16(206), `"e2"`, honest, uint8(54), false, uint8(1), "ok")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(200), etag, "", uint8(64), false, uint8(1), "")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), `"e2"`, honest, uint8(54), false, uint8(1), "")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), "", honest, uint8(54), false, uint8(1), "")
	f.Add(uint8(0), uint8(255), "W/"+etag, uint8(10), uint16(206), "W/"+etag, honest, uint8(54), false, uint8(1), "ok")
	for _, other := range []string{
		"bytes 0-63/64", "bytes 10-62/64", "bytes 11-63/64", "bytes 10-63/65", "bytes 10-63/*", "bytes */64", "bytes 10-63", "Bytes 10-63/64",
		"bytes=10-63/64", "bytes 10-63/64, bytes 0-1/64", "bytes +10-63/64", "bytes 10-63/18446744073709551680", "bytes -10-63/64", "bytes 010-063/064",
	} {
		f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, other, uint8(54), false, uint8(1), "")
	}
	for _, status := range []uint16{99, 100, 101, 204, 301, 304, 403, 404, 412, 416, 500, 503, 1206} {
		f.Add(uint8(0), uint8(255), etag, uint8(10), status, etag, honest, uint8(54), false, uint8(3), "ok")
	}
	var all [64]byte
	for i := range all {
		all[i] = byte('0' + i)
	}
	object := string(all[:])
	f.Fuzz(func(t *testing.T, from, to uint8, etag1 string, cut uint8, status uint16, etag2, range2 string, give uint8, clean bool, times uint8, sum string) {
		synctest.Test(t, func(t *testing.T) {
			d := &download{
				t: t, object: object, want: object, code: http.StatusOK, cut: int(cut), etag: wireValue(etag1), checksum: wireValue(sum),
				times: int(times), status: int(status), restETag: wireValue(etag2), restRange: wireValue(range2), give: int(give), cleanly: clean,
			}
			if from <= to && int(to) < len(object) {
				d.first, d.want, d.code = int(from), object[from:int(to)+1], http.StatusPartialContent
			}
			if sum == "ok" {
				d.checksum = strconv.FormatUint(crc(object), 10)
			}
			s := startScripted(t, d.respond)
			rep := s.ask(t, http.MethodGet, "")
			d.checkReply(t, rep)
			if s.asked > int(times)+20 && s.asked > 120 {
				t.Errorf("asked %d times", s.asked)
			}
		})
	})
}

func (d *download) checkReply(t *testing.T, rep reply) {
	t.Helper()
	if rep.isOwn() {
		if rep.status < http.StatusInternalServerError || rep.err != nil {
			t.Errorf("got the error\n%s%s (%v)", rep.head, rep.body, rep.err)
		}
		return
	}
	if !strings.HasPrefix(d.want, rep.body) || rep.status != d.code || rep.err == nil && rep.body != d.want {
		t.Errorf("got %d %q (%v), want %d %q", rep.status, rep.body, rep.err, d.code, d.want)
	}
	n, err := strconv.ParseUint(d.checksum, 10, 64)
	wrong := err == nil && n != crc(d.object) && d.code == http.StatusOK && !strings.HasPrefix(d.etag, "W/")
	if wrong && (rep.err == nil || rep.body == d.want) {
		t.Errorf("got all of the object, whose checksum is not %d", n)
	}
}

// refusals are scripted responses that may reject the credentials: the first one and
// all others.
type refusals struct {
	method string // of the client
	status [2]int
	body   [2]string
	date   string
	form   uint8  // how bodies are framed: by length, chunked, or cut off
	last   string // body for method
}

// respond is the script. A response whose status has no body gets none on the wire.
func (r *refusals) respond(n int, a *arrival) (response string, end bool) {
	i := min(n, 1)
	status, body := r.status[i], r.body[i]
	fields, coded := "Date: "+r.date+"\r\n", body
	switch {
	case status < 200:
		coded, body = "", "" // the next is another response, or the connection ends
	case a.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified:
		fields += length(body)
		coded, body = "", ""
	case r.form%3 == 1:
		fields += "Transfer-Encoding: chunked\r\n"
		coded = chunk(body)
	case r.form%3 == 2 && body != "":
		fields += length(body)
		body = body[:len(body)/2]
		coded, end = body, true
	default:
		fields += length(body)
	}
	if a.Method == r.method {
		r.last = body
	}
	return rawHead(status, fields) + coded, end || status < 200 || status > 999
}

// FuzzRefusal responds arbitrarily, with XML or not. The client must receive COS's last
// response unchanged or a proxy error, after a limited number of attempts. Credentials
// are reported only after a response that rejects them. Values that cannot be on the
// wire are replaced as in FuzzResume.
func FuzzRefusal(f *testing.F) {
	doc := func(code, message string) string {
		return "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n<Code>" + code + "</Code><Message>" + message + "</Message></Error>"
	}
	const date = "Tue, 15 Nov 1994 08:12:31 GMT"
	for i, body := range []string{
		doc("ExpiredToken", ""), doc("InvalidAccessKeyId", ""), doc("AccessDenied", "Request has expired"), doc("AccessDenied", "Access Denied."),
		doc("RequestTimeTooSkewed", ""), doc("&#69;xpiredToken", ""), doc("<![CDATA[ExpiredToken]]>", ""), doc("&x;", ""), "<Error><Code>ExpiredToken",
		"<!DOCTYPE a [<!ENTITY x \"y\">]>" + doc("&x;", ""), strings.Repeat("<a>", 1000), doc("ExpiredToken", strings.Repeat("x", 70_000)),
		"<?xml version='1.0' encoding='utf-16'?><Error/>", "\xff\xfe", "", "<html>", doc("NoSuchKey", "ExpiredToken"), doc("ExpiredToken", "")[40:] + doc("a", ""),
	} {
		f.Add(uint8(i), uint16(403), body, date, uint8(0), uint16(200), "ok")
		f.Add(uint8(i+1), uint16(400), body, "", uint8(1), uint16(403), doc("ExpiredToken", ""))
	}
	f.Add(uint8(0), uint16(403), doc("NoSuchKey", "ExpiredToken"), date, uint8(0), uint16(200), "ok")
	f.Add(uint8(0), uint16(503), doc("SlowDown", ""), date, uint8(2), uint16(500), "")
	f.Add(uint8(0), uint16(101), "", date, uint8(2), uint16(99), "")
	f.Add(uint8(1), uint16(101), "0", date, uint8(2), uint16(99), "0")
	f.Add(uint8(2), uint16(204), "x", date, uint8(0), uint16(304), "x")
	f.Add(uint8(0), uint16(304), "x", "", uint8(1), uint16(200), "ok")
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPost}
	f.Fuzz(func(t *testing.T, method uint8, status1 uint16, body1, date string, form uint8, status2 uint16, body2 string) {
		synctest.Test(t, func(t *testing.T) {
			r := &refusals{
				method: methods[int(method)%len(methods)], date: wireValue(date), form: form,
				status: [2]int{int(status1), int(status2)}, body: [2]string{body1, body2},
			}
			s := startScripted(t, r.respond)
			body := "body"
			if r.method == http.MethodGet || r.method == http.MethodHead {
				body = ""
			}
			rep := s.ask(t, r.method, body)
			if !rep.isOwn() && (!slices.Contains(r.status[:], rep.status) || rep.err == nil && rep.body != r.last || !strings.HasPrefix(r.last, rep.body)) {
				t.Errorf("got %d %q (%v), COS said %q at last", rep.status, rep.body, rep.err, r.last)
			}
			if s.asked > 10 {
				t.Errorf("asked %d times", s.asked)
			}
			if rejected := s.creds.rejected(); len(rejected) > 2 || len(rejected) > 0 && !blamesKey(body1) && !blamesKey(body2) {
				t.Errorf("%v given up for %q and %q", rejected, body1, body2)
			}
		})
	})
}

// blamesKey reports whether an error document, parsed as by the SDK, rejects the
// credentials.
func blamesKey(body string) bool {
	var doc cos.ErrorResponse
	if xml.NewDecoder(bytes.NewReader([]byte(body))).Decode(&doc) != nil {
		return false
	}
	return slices.Contains([]string{"ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed", "AccessDenied"}, doc.Code)
}
