package signer_test

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"cosproxy/signer"
)

// headOf returns the head of req as net/http would send it.
func headOf(req *http.Request) signer.Head {
	h := signer.Head{Method: req.Method, Path: req.URL.Path, RawQuery: req.URL.RawQuery}
	h.Fields = append(h.Fields, signer.Field{Name: []byte("Host"), Value: []byte(req.URL.Host)})
	if req.ContentLength > 0 || req.Method == http.MethodPut || req.Method == http.MethodPost {
		h.Fields = append(h.Fields, signer.Field{Name: []byte("Content-Length"), Value: strconv.AppendInt(nil, req.ContentLength, 10)})
	}
	for name, values := range req.Header {
		for _, v := range values {
			h.Fields = append(h.Fields, signer.Field{Name: []byte(name), Value: []byte(strings.TrimSpace(v))})
		}
	}
	return h
}

// AppendAuthorization and Sign must agree. The vectors show that Sign is correct.
func TestAppendAuthorization_AgreesWithSign(t *testing.T) {
	t.Parallel()
	for _, header := range []http.Header{
		{},
		{"Content-Type": {"text/plain"}, "User-Agent": {"x"}, "Expect": {"100-continue"}, "Transfer-Encoding": {"chunked"}},
		{"x-cos-meta-A": {"b", "a"}, "X-Cos-Meta-a": {" c "}, "X-CI-x": {""}, "Range": {"bytes=0-1"}, "Origin": {"http://a"}},
	} {
		for _, target := range []string{"/", "/a%2Fb//c%20d", "/x?acl", "/x?b=%7B&a+b;c=1&b=2&uploads&B=", "/%E4%B8%AD?prefix=a%2B"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete} {
				req := newRequest(t, method, target, nil)
				req.Header = header.Clone()
				h := headOf(req)
				var s signer.Signer
				got, err := s.AppendAuthorization(nil, h, tempCreds, now)
				if err != nil {
					t.Fatal(err)
				}
				delete(req.Header, "Transfer-Encoding") // net/http sets it
				if err := s.Sign(req, tempCreds, now); err != nil {
					t.Fatal(err)
				}
				if want := req.Header.Get("Authorization"); string(got) != want {
					t.Errorf("%s %s %v:\n got %s\nwant %s", method, target, header, got, want)
				}
			}
		}
	}
}

func TestAppendAuthorization_Errors(t *testing.T) {
	t.Parallel()
	host := signer.Field{Name: []byte("host"), Value: []byte(bucketHost)}
	field := func(name string) []signer.Field {
		return []signer.Field{host, {Name: []byte(name), Value: []byte("x")}}
	}
	for _, tt := range []struct {
		name  string
		head  signer.Head
		creds signer.Credentials
		want  error
	}{
		{"no credentials", signer.Head{Path: "/", Fields: field("a")}, signer.Credentials{}, signer.ErrMissingSecretID},
		{"no path", signer.Head{Fields: field("a")}, tempCreds, signer.ErrRequest},
		{"a path without a slash", signer.Head{Path: "a", Fields: field("a")}, tempCreds, signer.ErrRequest},
		{"no host", signer.Head{Path: "/"}, tempCreds, signer.ErrRequest},
		{"two hosts", signer.Head{Path: "/", Fields: field("HOST")}, tempCreds, signer.ErrRequest},
		{"already signed", signer.Head{Path: "/", Fields: field("authorization")}, tempCreds, signer.ErrRequest},
		{"already a token", signer.Head{Path: "/", Fields: field("X-COS-security-token")}, tempCreds, signer.ErrRequest},
		{"an invalid query", signer.Head{Path: "/", RawQuery: "a=%zz", Fields: field("a")}, tempCreds, signer.ErrRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s signer.Signer
			got, err := s.AppendAuthorization([]byte("before"), tt.head, tt.creds, now)
			if !errors.Is(err, tt.want) || string(got) != "before" {
				t.Errorf("got %q, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func FuzzAppendAuthorization(f *testing.F) {
	f.Add("GET", "/a%20b", "acl&x=y", "Range", "bytes=0-1", "x-cos-meta-a", " b ")
	f.Add("PUT", "/", "", "Content-Type", "", "X-Ci-A", "b")
	f.Fuzz(func(t *testing.T, method, path, query, name1, value1, name2, value2 string) {
		u, err := url.ParseRequestURI("https://" + bucketHost + path)
		if err != nil || !strings.HasPrefix(path, "/") || strings.Contains(path, "?") {
			return
		}
		u.RawQuery = query
		for _, name := range []string{name1, name2} {
			switch http.CanonicalHeaderKey(name) {
			case "Host", "Content-Length", "Transfer-Encoding", "Authorization", "X-Cos-Security-Token":
				return
			}
		}
		for _, value := range []string{value1, value2} {
			if strings.TrimSpace(value) != strings.Trim(value, " \t") {
				return // it cannot be sent
			}
		}
		req := &http.Request{Method: method, URL: u, Header: http.Header{name1: {value1}, name2: {value2}}}
		var s signer.Signer
		got, gotErr := s.AppendAuthorization(nil, headOf(req), tempCreds, now)
		err = s.Sign(req, tempCreds, now)
		if (err == nil) != (gotErr == nil) || err == nil && string(got) != req.Header.Get("Authorization") {
			t.Errorf("got  %s, %v\nwant %s, %v", got, gotErr, req.Header.Get("Authorization"), err)
		}
	})
}

func BenchmarkAppendAuthorization(b *testing.B) {
	for name, request := range map[string]func(testing.TB) *http.Request{"GET": benchmarkGet, "PUT": benchmarkPut} {
		b.Run(name, func(b *testing.B) {
			head, creds := headOf(request(b)), benchmarkCreds()
			var s signer.Signer
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = s.AppendAuthorization(dst[:0], head, creds, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
