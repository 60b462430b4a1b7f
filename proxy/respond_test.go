package proxy_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// raw is an upstream that sends every request the same bytes.
func raw(text string) func(*arrival) {
	return func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		head, body, _ := strings.Cut(text, "\r\n\r\n")
		if a.Method == http.MethodHead {
			body = ""
		}
		a.respond(head + "\r\n\r\n" + body)
	}
}

// The client receives COS's status, header, in COS's case, and body. The proxy follows
// no redirect, guesses no type and decodes nothing.
func TestRespond_Unchanged(t *testing.T) {
	tests := []struct{ name, method, response, body string }{
		{"200", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/plain\r\nETag: \"e\"\r\n\r\ntest", "test"},
		{"200, empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"e\"\r\n\r\n", ""},
		{"204", "DELETE", "HTTP/1.1 204 No Content\r\nx-cos-request-id: id\r\n\r\n", ""},
		{"206", "GET", "HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\nContent-Range: bytes 1-2/4\r\n\r\nes", "es"},
		{"301", "GET", "HTTP/1.1 301 Moved Permanently\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", ""},
		{"302", "GET", "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 3\r\n\r\nsee", "see"},
		{"307 on PUT", "PUT", "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://" + cosHost + "/x\r\nContent-Length: 0\r\n\r\n", ""},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nx-cos-request-id: id\r\n\r\n", ""},
		{"404", "GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 36\r\nContent-Type: application/xml\r\n\r\n<Error><Code>NoSuchKey</Code></Error", "<Error><Code>NoSuchKey</Code></Error"},
		{"412", "PUT", "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 1\r\n\r\nx", "x"},
		{"416", "GET", "HTTP/1.1 416 Requested Range Not Satisfiable\r\nContent-Range: bytes */4\r\nContent-Length: 0\r\n\r\n", ""},
		{"500", "POST", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops", "oops"},
		{"503 with Retry-After", "GET", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", ""},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345678901\r\nETag: \"e\"\r\nContent-Type: video/mp4\r\n\r\n", ""},
		{"HEAD, empty object", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
		{"HEAD 404", "HEAD", "HTTP/1.1 404 Not Found\r\nx-cos-request-id: id\r\nContent-Length: 0\r\n\r\n", ""},
		{"cached", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCache-Control: no-cache\r\nAge: 3\r\nVary: Origin\r\nVary: Accept\r\nAccept-Ranges: bytes\r\n" +
			"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nExpires: 0\r\nContent-Disposition: inline\r\nContent-Language: zh\r\n\r\nx", "x"},
		{"Date and Server are COS's", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: tencent-cos\r\n\r\nx", "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{handle: raw(tt.response)})
			rep := r.exchange(t, tt.method+" /key HTTP/1.1\r\n\r\n")
			want := parseHead(tt.response)
			if status := tt.response[9:12]; strconv.Itoa(rep.status) != status || rep.body != tt.body || rep.err != nil {
				t.Errorf("got %d %q (%v), want %s %q", rep.status, rep.body, rep.err, status, tt.body)
			}
			if want.Get("Date") == "" {
				rep.header.Del("Date") // which a server must add, RFC 9110, 6.6.1
			}
			for name := range rep.header {
				if !slices.Equal(rep.header[name], want[name]) {
					t.Errorf("%s: %q, want %q", name, rep.header[name], want[name])
				}
				delete(want, name)
			}
			for name := range want {
				t.Errorf("%s is lost", name)
			}
			r.upstream.only(t) // and no second request, to a Location or again
		})
	}
}

// net/http would write Etag and X-Cos-Request-Id, and a guessed Content-Type.
func TestRespond_HeaderCase(t *testing.T) {
	names := []string{
		"ETag", "x-cos-request-id", "x-cos-trace-id", "x-cos-hash-crc64ecma", "x-cos-version-id", "x-cos-storage-class", "x-cos-meta-note",
		"x-cos-next-append-position", "x-ci-image-info", "Server", "Last-Modified", "Accept-Ranges", "Content-Disposition", "Cache-Control",
		"Content-Length", "Content-MD5", "Date",
	}
	response := "HTTP/1.1 200 OK\r\n"
	for _, name := range names {
		value := "v"
		if name == "Content-Length" {
			value = "5"
		}
		response += name + ": " + value + "\r\n"
	}
	r := start(t, setup{handle: raw(response + "\r\n<html")})
	for _, method := range []string{"GET", "HEAD"} {
		got := fieldNames(r.exchange(t, method+" /key HTTP/1.1\r\n\r\n").head)
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, names) {
			t.Errorf("%s: the client got %q, want %q", method, got, names)
		}
	}
}

func TestRespond_HopByHopRemoved(t *testing.T) {
	r := start(t, setup{handle: raw("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Named\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n" +
		"Proxy-Connection: keep-alive\r\nTrailer: X-Late\r\nUpgrade: h2c\r\nX-Named: 1\r\nX-Kept: 1\r\nContent-Length: 1\r\n\r\nx")})
	rep := r.get(t, "/key")
	got := fieldNames(rep.head)
	slices.Sort(got)
	if want := []string{"Content-Length", "Date", "X-Kept"}; !slices.Equal(got, want) {
		t.Errorf("the client got %q, want %q", got, want)
	}
}

func TestRespond_InformationalSkipped(t *testing.T) {
	r := start(t, setup{handle: raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")})
	if rep := r.get(t, "/key"); rep.status != http.StatusOK || rep.body != "x" {
		t.Errorf("got %d %q", rep.status, rep.body)
	}
}

func TestRespond_GzipNotDecoded(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(strings.Repeat("test", 100)))
	_ = w.Close()
	body := packed.String()
	r := start(t, setup{handle: raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)})
	for _, accept := range []string{"", "Accept-Encoding: gzip\r\n"} {
		rep := r.exchange(t, "GET /key HTTP/1.1\r\n"+accept+"\r\n")
		if rep.body != body || rep.header.Get("Content-Encoding") != "gzip" || rep.header.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%q: the client got\n%s%q", accept, rep.head, rep.body)
		}
	}
}

// One connection serves many requests, with any method and response.
func TestRespond_ConnectionReused(t *testing.T) {
	r := start(t, setup{})
	c := r.dial(t)
	for _, request := range []string{
		"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"PUT /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest",
		"PUT /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntest\r\n0\r\n\r\n",
		"HEAD /d HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"DELETE /e HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		c.send(request)
		method, _, _ := strings.Cut(request, " ")
		if rep := c.reply(method); rep.status != http.StatusOK && !strings.Contains(request, "%zz") {
			t.Fatalf("%s\n%s%s", request, rep.head, rep.body)
		}
	}
	seen := r.upstream.seen()
	if len(seen) != 5 {
		t.Fatalf("%d requests arrived, want 5", len(seen))
	}
	for _, a := range seen[1:] {
		if a.conn != seen[0].conn {
			t.Error("a new connection was made to COS")
		}
	}
}
