package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cosproxy/proxy"
)

// framings write a response of COS with these fields and this body.
var framings = []struct {
	name  string
	write func(fields, body string) string
}{
	{"sized", func(fields, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(body), body)
	}},
	{"chunked", func(fields, body string) string {
		return "HTTP/1.1 200 OK\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n" + inChunks(body) + "0\r\n\r\n"
	}},
	{"HTTP/1.1 to the close", func(fields, body string) string { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body }},
	{"HTTP/1.0 to the close", func(fields, body string) string { return "HTTP/1.0 200 OK\r\n" + fields + "\r\n" + body }},
}

// inChunks writes body in chunks of 1000 bytes, without the last chunk.
func inChunks(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(1000, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String()
}

// respondAndClose sends the response and closes the connection.
func respondAndClose(response string) func(*arrival) {
	return func(a *arrival) {
		a.respond(response)
		a.conn.Close()
	}
}

func crcField(sum uint64) string {
	return "ETag: \"e\"\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: " + strconv.FormatUint(sum, 10) + "\r\n"
}

func flip(body string, at int) string { return body[:at] + string(body[at]^1) + body[at+1:] }

// No client receives a damaged download as complete, with any framing on either side.
func TestChecksum_DamagedDownload(t *testing.T) {
	large := strings.Repeat(object, 5000)
	bodies := []struct{ name, body, damaged string }{
		{"first byte flipped", object, flip(object, 0)},
		{"last byte flipped", object, flip(object, len(object)-1)},
		{"last byte cut", object, object[:len(object)-1]},
		{"all cut", object, ""},
		{"one byte flipped", "a", "b"},
		{"one byte added", object, object + "x"},
		{"empty, one byte added", "", "x"},
		{"large, last byte flipped", large, flip(large, len(large)-1)},
		{"large, last byte cut", large, large[:len(large)-1]},
	}
	for _, framing := range framings {
		for _, b := range bodies {
			for _, version := range []string{"1.0", "1.1"} {
				request := "GET /key HTTP/" + version + "\r\n\r\n"
				t.Run(framing.name+"/"+b.name+"/client of HTTP "+version, func(t *testing.T) {
					r := start(t, setup{handle: respondAndClose(framing.write(crcField(crc(b.body)), b.body))})
					if rep := r.exchange(t, request); rep.status != http.StatusOK || rep.err != nil || rep.body != b.body {
						t.Errorf("undamaged: status %d, %d bytes of %d (%v)", rep.status, len(rep.body), len(b.body), rep.err)
					}
					r = start(t, setup{handle: respondAndClose(framing.write(crcField(crc(b.body)), b.damaged))})
					if framing.name == "sized" && b.damaged == "" {
						r.refusedEmpty(t, request)
						return
					}
					r.broken(t, request, b.damaged)
				})
			}
		}
	}
}

// broken checks that a response ends as a failure before the client has the complete
// damaged body.
func (r *rig) broken(t *testing.T, request, damaged string) {
	t.Helper()
	c := r.dial(t)
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	c.send(strings.Replace(request, "\r\n", "\r\nHost: localhost\r\nConnection: close\r\n", 1))
	wire, end := io.ReadAll(c.r)
	var body []byte
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), nil)
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil && resp.StatusCode == http.StatusBadGateway && len(body) != len(damaged) {
		return // nothing had been sent yet
	}
	if !errors.Is(end, syscall.ECONNRESET) || strings.Contains(request, "HTTP/1.1") && err == nil {
		t.Errorf("the connection ends with %v, the response with %v", end, err)
	}
	if len(body) >= len(damaged) && damaged != "" {
		t.Errorf("the client got all %d bytes", len(body))
	}
	if log := r.drained(t); !strings.Contains(log, "CRC-64") {
		t.Errorf("the log does not tell why:\n%s", log)
	}
}

// refusedEmpty checks that an empty body is verified before the header is sent.
func (r *rig) refusedEmpty(t *testing.T, request string) {
	t.Helper()
	rep := r.exchange(t, request)
	if rep.status != http.StatusBadGateway || rep.cosError(t).Code != "ChecksumMismatch" {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	if rep.header["Etag"] != nil || rep.header["X-Cos-Hash-Crc64ecma"] != nil {
		t.Errorf("the refusal describes the object:\n%s", rep.head)
	}
}

// Responses whose checksum is of other bytes than their body are forwarded, and all
// responses if checksums are off.
func TestChecksum_OtherBytesNotCompared(t *testing.T) {
	weak := "ETag: W/\"e\"\r\nx-cos-hash-crc64ecma: 1\r\n"
	malformed := "ETag: \"e\"\r\nx-cos-hash-crc64ecma: -1\r\nx-cos-hash-crc64ecma: \r\nx-cos-hash-crc64ecma: 18446744073709551616\r\n"
	tests := []struct {
		name, method, target, status, fields string
		skip                                 bool
	}{
		{"HEAD", "HEAD", "/key", "200 OK", crcField(1), false},
		{"part", "GET", "/key", "206 Partial Content", crcField(1) + "Content-Range: bytes 0-9/36\r\n", false},
		{"error", "GET", "/key", "404 Not Found", crcField(1), false},
		{"processed picture", "GET", "/key?imageMogr2/thumbnail/10x", "200 OK", crcField(1), false},
		{"ci-process", "GET", "/key?ci-process=snapshot&time=1", "200 OK", crcField(1), false},
		{"another document", "GET", "/key?tagging", "200 OK", crcField(1), false},
		{"listing", "GET", "/", "200 OK", crcField(1), false},
		{"weak tag", "GET", "/key", "200 OK", weak, false},
		{"malformed", "GET", "/key", "200 OK", malformed, false},
		{"no checksum", "GET", "/key", "200 OK", "ETag: \"e\"\r\n", false},
		{"checksums off", "GET", "/key", "200 OK", crcField(1), true},
	}
	for _, tt := range tests {
		for _, framing := range framings {
			for _, body := range []string{object[:10], ""} {
				t.Run(fmt.Sprintf("%s/%s/%d bytes", tt.name, framing.name, len(body)), func(t *testing.T) {
					response := strings.Replace(framing.write(tt.fields, body), "200 OK", tt.status, 1)
					if tt.method == http.MethodHead {
						response = response[:strings.Index(response, "\r\n\r\n")+4]
					}
					r := start(t, setup{handle: respondAndClose(response), options: func(o *proxy.Options) { o.SkipChecksums = tt.skip }})
					want := body
					if tt.method == http.MethodHead {
						want = ""
					}
					rep := r.exchange(t, tt.method+" "+tt.target+" HTTP/1.1\r\n\r\n")
					if got := rep.head[len("HTTP/1.1 "):]; !strings.HasPrefix(got, tt.status) || rep.body != want || rep.err != nil {
						t.Errorf("got %q (%v) after\n%s", rep.body, rep.err, rep.head)
					}
				})
			}
		}
	}
}

// All checksums of a response must match.
func TestChecksum_Several(t *testing.T) {
	right := "x-cos-hash-crc64ecma: " + strconv.FormatUint(crc(object), 10) + "\r\n"
	const wrong, malformed = "x-cos-hash-crc64ecma: 1\r\n", "x-cos-hash-crc64ecma: x\r\n"
	for _, framing := range framings {
		for fields, whole := range map[string]bool{
			right + right: true, right + malformed: true, malformed + right: true,
			right + wrong: false, wrong + right: false, malformed + wrong: false,
		} {
			r := start(t, setup{handle: respondAndClose(framing.write(fields, object))})
			if !whole {
				r.broken(t, "GET /key HTTP/1.1\r\n\r\n", object)
			} else if rep := r.get(t, "/key"); rep.err != nil || rep.body != object {
				t.Errorf("%s, with\n%sgot %q (%v)", framing.name, fields, rep.body, rep.err)
			}
		}
	}
}

// The checksum of a resumed download covers all its pieces, with any framing of the
// rest.
func TestChecksum_ResumedDownloadDamaged(t *testing.T) {
	const head = "HTTP/1.1 206 Partial Content\r\nETag: \"e\"\r\nContent-Range: bytes 10-35/36\r\n"
	rests := map[string]func(string) string{
		"sized": func(rest string) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(rest), rest) },
		"chunked": func(rest string) string {
			return head + "Transfer-Encoding: chunked\r\n\r\n" + inChunks(rest) + "0\r\n\r\n"
		},
		"to the close": func(rest string) string { return head + "\r\n" + rest },
	}
	for name, write := range rests {
		for _, version := range []string{"1.0", "1.1"} {
			request := "GET /key HTTP/" + version + "\r\n\r\n"
			r := start(t, setup{handle: inTurn(cutAfter(10), respondAndClose(write(object[10:])))})
			if rep := r.exchange(t, request); rep.err != nil || rep.body != object {
				t.Errorf("%s, undamaged: %q (%v)", name, rep.body, rep.err)
			}
			r = start(t, setup{handle: inTurn(cutAfter(10), respondAndClose(write(flip(object[10:], 25))))})
			r.broken(t, request, object)
		}
	}
}

// A body of unknown length is streamed: all but the last byte of each piece is sent at
// once.
func TestChecksum_UnknownLengthStreamed(t *testing.T) {
	more := make(chan struct{})
	r := start(t, setup{handle: func(a *arrival) {
		a.respond("HTTP/1.0 200 OK\r\n" + crcField(crc(object)) + "\r\n" + object[:10])
		<-more
		a.respond(object[10:])
		a.conn.Close()
	}})
	c := r.dial(t)
	c.send("GET /key HTTP/1.0\r\nHost: localhost\r\n\r\n")
	c.head()
	got, err := c.r.Peek(9)
	close(more)
	if err != nil || string(got) != object[:9] {
		t.Errorf("before the end: %q (%v)", got, err)
	}
	if all := c.end(); all != object {
		t.Errorf("in all: %q", all)
	}
}
