package proxy_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	cos "github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/proxy"
)

// answering is an upstream in memory whose answers are made up.
type answering struct {
	answer func(n int, r *http.Request) *http.Response
	asked  []*http.Request
	bodies []*tracked
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	a.asked = append(a.asked, r)
	resp := a.answer(len(a.asked)-1, r)
	body := &tracked{Reader: resp.Body}
	a.bodies = append(a.bodies, body)
	resp.Body, resp.Request = body, r
	if resp.ContentLength >= 0 {
		resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	resp.Header.Set("X-Cos-Request-Id", "id")
	return resp, nil
}

// tracked remembers whether a body was closed.
type tracked struct {
	io.Reader
	closed bool
}

func (b *tracked) Close() error { b.closed = true; return nil }

// endsWith is a body that ends with an error, or with none if that is io.EOF.
func endsWith(text string, err error) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(text), errorReader{err}))
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// bounded takes no more bytes than were announced, as net/http's server does.
type bounded struct{ *httptest.ResponseRecorder }

func (b bounded) Write(p []byte) (int, error) {
	announced, err := strconv.Atoi(b.Header().Get("Content-Length"))
	if err == nil && b.Body.Len()+len(p) > announced {
		return 0, http.ErrContentLength
	}
	return b.ResponseRecorder.Write(p)
}

// ask has the proxy serve a request with the upstream behind it. broken says that
// the client's connection was broken.
func (a *answering) ask(t *testing.T, k *keys, r *http.Request) (w *httptest.ResponseRecorder, broken bool) {
	t.Helper()
	p, err := proxy.New(proxy.Options{Transport: a, Routes: []proxy.Route{{
		Bucket: bucket, Region: region, Actions: []string{"*"}, Prefixes: []string{"*"}, Credentials: k,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			broken = true
		}
		for i, body := range a.bodies {
			if !body.closed {
				t.Errorf("the body of answer %d was not closed", i)
			}
		}
	}()
	p.ServeHTTP(bounded{w}, r)
	return w, false
}

var (
	contentRange = regexp.MustCompile(`^bytes ([0-9]{1,9})-([0-9]{1,9})/([0-9]{1,9})$`)
	askedRange   = regexp.MustCompile(`^bytes=([0-9]+)-([0-9]+)$`)
)

// FuzzResume breaks off a download, and answers the questions for the rest with
// anything. The client gets the bytes of the object that it has asked for, at their
// places, or its connection is broken; nothing of another answer, and no end that
// looks like one.
func FuzzResume(f *testing.F) {
	const etag = `"e1"`
	honest := "bytes 10-63/64"
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(54), false, uint8(1), "ok")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(5), true, uint8(1), "")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(5), true, uint8(200), "1")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(0), true, uint8(200), "ok")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(255), false, uint8(1), "ok") // more than was asked for
	f.Add(uint8(5), uint8(20), etag, uint8(5), uint16(206), etag, "bytes 10-20/64", uint8(11), false, uint8(1), "ok")
	f.Add(uint8(0), uint8(255), etag, uint8(10), uint16(206), etag, honest, uint8(54), false, uint8(1), "1")
	f.Add(uint8(0), uint8(255), etag, uint8(64), uint16(206), etag, honest, uint8(54), false, uint8(1), "1")
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
	for _, status := range []uint16{100, 204, 301, 304, 403, 404, 412, 416, 500, 503} {
		f.Add(uint8(0), uint8(255), etag, uint8(10), status, etag, honest, uint8(54), false, uint8(3), "ok")
	}
	var all [64]byte
	for i := range all {
		all[i] = byte('0' + i)
	}
	object := string(all[:])
	f.Fuzz(func(t *testing.T, from, to uint8, etag1 string, cut uint8, status uint16, etag2, range2 string, give uint8, clean bool, times uint8, sum string) {
		synctest.Test(t, func(t *testing.T) {
			want, code := object, http.StatusOK
			if from <= to && int(to) < len(object) {
				want, code = object[from:int(to)+1], http.StatusPartialContent
			} else {
				from = 0
			}
			right := strconv.FormatUint(crc(object), 10)
			if sum == "ok" {
				sum = right
			}
			a := &answering{}
			a.answer = func(n int, r *http.Request) *http.Response {
				h := http.Header{"Etag": {etag1}, "X-Cos-Hash-Crc64ecma": {sum}}
				if n == 0 {
					if code == http.StatusPartialContent {
						h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(object)))
					}
					text := want[:min(int(cut), len(want))]
					return &http.Response{StatusCode: code, Header: h, ContentLength: int64(len(want)), Body: endsWith(text, endOf(text, want))}
				}
				first, last := checkContinuation(t, r, etag1, int(from)+len(want)-1)
				rest := object[first : last+1]
				if n > int(times) {
					h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(object)))
					return &http.Response{StatusCode: http.StatusPartialContent, Header: h, ContentLength: int64(len(rest)), Body: endsWith(rest, io.EOF)}
				}
				h["Etag"], h["Content-Range"] = []string{etag2}, []string{range2}
				text := strings.Repeat("\xff", int(give))
				if status == http.StatusPartialContent && etag1 == etag2 && isRange(range2, first, last, len(object)) {
					text = (rest + text)[:give] // who says that it is the rest, means it
				}
				resp := &http.Response{StatusCode: int(status), Header: h, ContentLength: int64(len(rest)), Body: endsWith(text, endOf(text, rest))}
				if clean {
					resp.ContentLength, resp.Body = -1, endsWith(text, io.EOF)
				}
				return resp
			}
			w, broken := a.ask(t, newKeys(2), httptest.NewRequest(http.MethodGet, "http://localhost/k", nil))
			got := w.Body.String()
			if !strings.HasPrefix(want, got) || w.Code != code || !broken && got != want {
				t.Errorf("got %d %q (broken: %t), want %d %q", w.Code, got, broken, code, want)
			}
			n, err := strconv.ParseUint(sum, 10, 64)
			if wrong := err == nil && n != crc(object) && code == http.StatusOK; wrong && (!broken || got == want) {
				t.Errorf("got all of the object, whose checksum %s is not %s", right, sum)
			}
			if len(a.asked) > int(times)+20 && len(a.asked) > 120 {
				t.Errorf("asked %d times", len(a.asked))
			}
		})
	})
}

// endOf is how a connection ends on which text has come, where all was announced.
func endOf(text, all string) error {
	if len(text) < len(all) {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// checkContinuation wants a signed question for the rest of the same object, and
// returns which bytes it is for.
func checkContinuation(t *testing.T, r *http.Request, etag string, end int) (first, last int) {
	t.Helper()
	parts := askedRange.FindStringSubmatch(r.Header.Get("Range"))
	if parts == nil || !strings.HasPrefix(etag, `"`) || !slices.Equal(r.Header["If-Match"], []string{etag}) || r.Header.Get("Authorization") == "" {
		t.Fatalf("asked for the rest with %v, after %q", r.Header, etag)
	}
	first, _ = strconv.Atoi(parts[1])
	last, _ = strconv.Atoi(parts[2])
	if first > last || last != end {
		t.Fatalf("asked for %s, up to %d", r.Header["Range"], end)
	}
	return first, last
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

// FuzzRefusal answers with anything, XML or not. The client gets COS's last answer
// as it is or an error of the proxy's own, after a bounded number of attempts; no
// key is given up but for an answer that blames it.
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
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPost}
	f.Fuzz(func(t *testing.T, method uint8, status1 uint16, body1, date string, form uint8, status2 uint16, body2 string) {
		synctest.Test(t, func(t *testing.T) {
			k := newKeys(2)
			name, last := methods[int(method)%len(methods)], ""
			a := &answering{}
			a.answer = func(n int, r *http.Request) *http.Response {
				status, body := status1, body1
				if n > 0 {
					status, body = status2, body2
				}
				resp := &http.Response{StatusCode: int(status), Header: http.Header{"Date": {date}}, ContentLength: int64(len(body))}
				switch {
				case r.Method == http.MethodHead:
					body = ""
				case form%3 == 1:
					resp.ContentLength = -1
				case form%3 == 2 && body != "":
					body = body[:len(body)/2]
				}
				end := endOf(body, strings.Repeat("x", max(0, int(resp.ContentLength))))
				if r.Method == http.MethodHead {
					end = io.EOF
				}
				if r.Method == name {
					last = body
				}
				resp.Body = endsWith(body, end)
				return resp
			}
			r := httptest.NewRequest(name, "http://localhost/k", strings.NewReader("body"))
			if name == http.MethodGet || name == http.MethodHead {
				r = httptest.NewRequest(name, "http://localhost/k", nil)
			}
			w, broken := a.ask(t, k, r)
			own := w.Header().Get("Server") == "cosproxy"
			if !own && (w.Code != int(status1) && w.Code != int(status2) || !broken && w.Body.String() != last || !strings.HasPrefix(last, w.Body.String())) {
				t.Errorf("got %d %q, COS said %q at last", w.Code, w.Body, last)
			}
			if len(a.asked) > 10 {
				t.Errorf("asked %d times", len(a.asked))
			}
			if rejected := k.rejected(); len(rejected) > 2 || len(rejected) > 0 && !blamesKey(body1) && !blamesKey(body2) {
				t.Errorf("%v given up for %q and %q", rejected, body1, body2)
			}
		})
	})
}

// blamesKey reads an error document as the SDK does.
func blamesKey(body string) bool {
	var doc cos.ErrorResponse
	if xml.NewDecoder(bytes.NewReader([]byte(body))).Decode(&doc) != nil {
		return false
	}
	return slices.Contains([]string{"ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed", "AccessDenied"}, doc.Code)
}
