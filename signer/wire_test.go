package signer_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cosproxy/signer"
)

// wire is a loopback server that records the head of each request, and a transport that connects
// to it for any host in the URL.
type wire struct {
	transport http.Transport
	heads     chan string
}

func newWire(t testing.TB) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	w := &wire{heads: make(chan string, 1)}
	w.transport.DisableKeepAlives = true
	w.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.record(conn)
		}
	}()
	return w
}

func (w *wire) record(conn net.Conn) {
	defer conn.Close()
	var head strings.Builder
	for r := bufio.NewReader(conn); !strings.HasSuffix(head.String(), "\r\n\r\n"); {
		line, err := r.ReadString('\n')
		if err != nil {
			return // the transport refused to send, or gave up
		}
		head.WriteString(line)
	}
	w.heads <- head.String()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, conn) // the body, until the client hangs up
}

// send returns the bytes that net/http wrote for req, or its error.
func (w *wire) send(req *http.Request) (string, error) {
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	return <-w.heads, nil
}

type body struct {
	name     string
	set      func(*http.Request)
	sendsFor string // methods that announce a Content-Length
}

const anyMethod = "GET HEAD DELETE OPTIONS PUT POST PATCH PURGE"

func unknownLength(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

var bodies = []body{
	{"nil", func(*http.Request) {}, "PUT POST PATCH"},
	{"NoBody", func(r *http.Request) { r.Body = http.NoBody }, "PUT POST PATCH"},
	{"known length", func(r *http.Request) { r.Body, r.ContentLength = unknownLength("body"), 4 }, anyMethod},
	{"unknown length", func(r *http.Request) { r.Body, r.ContentLength = unknownLength("body"), -1 }, ""},
	{"length left at 0", func(r *http.Request) { r.Body = unknownLength("body") }, ""},
	{"empty and unknown", func(r *http.Request) { r.Body = unknownLength("") }, ""},
	{"explicitly chunked", func(r *http.Request) {
		r.Body, r.ContentLength, r.TransferEncoding = unknownLength("body"), 4, []string{"chunked"}
	}, ""},
	{"chunked NoBody", func(r *http.Request) { r.Body, r.TransferEncoding = http.NoBody, []string{"chunked"} }, ""},
	{"chunked nil", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, "PUT POST PATCH"},
}

// TestSign_ContentLength tries every kind of body with every method. The wrong Content-Length in
// the map must not matter.
func TestSign_ContentLength(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	var s signer.Signer
	for _, b := range bodies {
		for method := range strings.FieldsSeq(anyMethod) {
			for _, inMap := range []bool{false, true} {
				req := newRequest(t, method, "/obj", nil)
				req.URL.Scheme = "http"
				b.set(req)
				if inMap {
					req.Header.Set("Content-Length", "0")
				}
				if err := s.Sign(req, tempCreds, now); err != nil {
					t.Fatalf("%s with body %s: %v", method, b.name, err)
				}
				signed := strings.Contains(headerList(req.Header.Get("Authorization")), "content-length")
				head, err := w.send(req)
				if err != nil {
					t.Fatalf("%s with body %s: %v", method, b.name, err)
				}
				if err := verifySent(head, tempCreds.SecretKey); err != nil {
					t.Errorf("%s with body %s: %v\n%s", method, b.name, err, head)
				}
				sent := strings.Contains(head, "\r\nContent-Length: ")
				if want := strings.Contains(b.sendsFor, method); sent != want || signed != want {
					t.Errorf("%s with body %s: Content-Length sent %t, signed %t, want both %t", method, b.name, sent, signed, want)
				}
			}
		}
	}
}

func TestSign_Sent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		change   func(*http.Request)
		unsigned string // the error, if it cannot be signed
	}{
		{"plain", func(*http.Request) {}, ""},
		{"no method", func(r *http.Request) { r.Method = "" }, ""},
		{"lower-case method", func(r *http.Request) { r.Method = "get" }, ""},
		{"no path", func(r *http.Request) { r.URL.Path = "" }, ""},
		{"double slashes and dots", func(r *http.Request) { r.URL.Path = "//a/./b/../c//" }, ""},
		{"raw path", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b c", "/a%2fb%20c" }, ""},
		{"raw path of another path", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "/c%2Fd" }, ""},
		{"invalid raw path", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a b", "/a b" }, ""},
		{"path of odd bytes", func(r *http.Request) { r.URL.Path = "/%25 +;?#&=\xff中\n\x00" }, ""},
		{"query", func(r *http.Request) { r.URL.RawQuery = "b=2&a=1&&acl&=x&%41=%2b+&a=0;c" }, ""},
		{"empty query", func(r *http.Request) { r.URL.ForceQuery = true }, ""},
		{"fragment", func(r *http.Request) { r.URL.Fragment = "f" }, ""},
		{"user in the URL", func(r *http.Request) { r.URL.User = url.UserPassword("u", "p") }, ""},
		{"host from the URL", func(r *http.Request) { r.Host = "" }, ""},
		{"host with port", func(r *http.Request) { r.Host = "Bucket-1.Example:8080" }, ""},
		{"host with empty port", func(r *http.Request) { r.Host = "bucket:" }, ""},
		{"IPv6 host", func(r *http.Request) { r.Host = "[::1]:8080" }, ""},
		{"host in the map", func(r *http.Request) { r.Header.Set("Host", "other") }, ""},
		{"second host", func(r *http.Request) { r.Header["hosT"] = []string{"other"} }, `"hosT"`},
		{"second length", func(r *http.Request) { r.Header["content-length"] = []string{"3"} }, `"content-length"`},
		{"zone", func(r *http.Request) { r.Host = "[fe80::1%en0]" }, "would change"},
		{"blanks around values", func(r *http.Request) { r.Header.Set("X-Cos-Meta-A", " \ta b\t ") }, ""},
		{"empty value", func(r *http.Request) { r.Header.Set("X-Cos-Meta-A", "") }, ""},
		{"no value", func(r *http.Request) { r.Header["X-Cos-Meta-A"] = nil }, ""},
		{"repeated", func(r *http.Request) { r.Header["X-Cos-Meta-A"] = []string{"2", "1", "1"} }, ""},
		{"spellings", func(r *http.Request) {
			r.Header["x-cos-meta-a"], r.Header["X-COS-META-A"] = []string{"2"}, []string{"1"}
		}, ""},
		{"name to be escaped", func(r *http.Request) { r.Header["X-Cos-Meta-A|b'c"] = []string{"v"} }, ""},
		{"long name", func(r *http.Request) { r.Header["X-Cos-Meta-"+strings.Repeat("a", 200)] = []string{"v"} }, ""},
		{"unicode value", func(r *http.Request) { r.Header.Set("X-Cos-Meta-A", "中\xff") }, ""},
		{"all signed headers", func(r *http.Request) {
			for _, name := range []string{"cache-control", "content-disposition", "content-encoding", "content-md5", "content-type",
				"expires", "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "range",
				"access-control-request-headers", "access-control-request-method", "origin", "pic-operations",
				"x-cos-acl", "x-ci-process"} {
				r.Header.Set(name, "v")
			}
		}, ""},
		{"never signed", func(r *http.Request) {
			for _, name := range []string{"expect", "connection", "transfer-encoding", "user-agent", "accept-encoding", "date",
				"te", "trailer", "keep-alive", "proxy-authorization", "content-language", "x-forwarded-for", "x-co", "x-cos"} {
				r.Header.Set(name, "v")
			}
		}, ""},
	}
	w := newWire(t)
	for _, tt := range tests {
		req := newRequest(t, http.MethodGet, "/obj", nil)
		req.URL.Scheme = "http"
		tt.change(req)
		var s signer.Signer
		err := s.Sign(req, tempCreds, now)
		if tt.unsigned != "" {
			if !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), tt.unsigned) {
				t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.unsigned)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		list := headerList(req.Header.Get("Authorization"))
		head, err := w.send(req)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if err := verifySent(head, tempCreds.SecretKey); err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, head)
		}
		if tt.name == "never signed" && list != "host;x-cos-security-token" {
			t.Errorf("signed %s", list)
		}
		if n := strings.Count(list, ";"); tt.name == "all signed headers" && n != 18 {
			t.Errorf("signed %d and one headers: %s", n, list)
		}
	}
}

// FuzzSign checks that every request that can be signed and sent is valid to a server that sees
// only the bytes.
func FuzzSign(f *testing.F) {
	f.Add("GET", bucketHost, "/obj", "", "acl", "Range", "bytes=0-1", "token", 0)
	f.Add("PUT", "127.0.0.1:80", "//a/../b%2F", "/%2Fa/../b%252F", "a=b+c;d&e", "x-cos-meta-a", " v ", "", 2)
	f.Add("DELETE", "[::1]", "/a b?c", "", "=&%3d", "content-length", "0", "t", 3)
	f.Add("OPTIONS", "a_b~c", "/中", "/%e4%b8%ad", "x=%zz", "Host", "other", " t ", 4)
	f.Add("PURGE", "h", "/*'()!", "", "A=1&a=2", "Expect", "100-continue", "t", 7)
	f.Add("HEAD", "b%c", "/\x7f\x00", "", "#", "Connection", "X-Cos-Meta-A", "t", 5)
	w := newWire(f)
	var s signer.Signer
	f.Fuzz(func(t *testing.T, method, host, path, rawPath, query, name, value, token string, kind int) {
		req := (&http.Request{
			Method: method, Host: host, Header: http.Header{},
			URL: &url.URL{Scheme: "http", Host: bucketHost, Path: path, RawPath: rawPath, RawQuery: query},
		}).WithContext(t.Context())
		bodies[uint(kind)%uint(len(bodies))].set(req)
		req.Header[name] = append(req.Header[name], value)
		req.Header["X-Cos-Meta-A"] = append(req.Header["X-Cos-Meta-A"], "a", value)
		creds := signer.Credentials{SecretID: "AKIDexample", SecretKey: "key", Token: token}
		if err := s.Sign(req, creds, now); err != nil {
			assertUnsigned(t, req)
			return
		}
		head, err := w.send(req)
		if err != nil {
			return // net/http refuses it: nothing was sent
		}
		if err := verifySent(head, creds.SecretKey); err != nil {
			t.Errorf("%v\n%q", err, head)
		}
	})
}
