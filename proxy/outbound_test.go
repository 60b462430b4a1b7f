package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

// A client's signature, hop-by-hop fields, fields that reveal the client's network, and
// fields that Connection lists are not forwarded.
func TestOutbound_HeadersRemoved(t *testing.T) {
	left := []string{
		"Authorization: q-sign-algorithm=sha1&q-ak=client",
		"x-cos-security-token: client",
		"x-ci-security-token: client",
		"x-amz-security-token: client",
		"x-amz-date: client",
		"x-amz-content-sha256: client",
		"Connection: keep-alive, X-Something, x-named",
		"Connection: X-Second",
		"Keep-Alive: timeout=5",
		"Proxy-Authenticate: Basic",
		"Proxy-Authorization: Basic Y2xpZW50",
		"Proxy-Connection: keep-alive",
		"Proxy-Anything: client",
		"TE: trailers",
		"Trailer: X-Late",
		"Upgrade: websocket",
		"X-Something: client",
		"X-Named: client",
		"X-Second: client",
		"Forwarded: for=192.0.2.1",
		"X-Forwarded-For: 192.0.2.1",
		"X-Forwarded-Host: client",
		"X-Forwarded-Proto: http",
		"X-Real-IP: 192.0.2.1",
		"Cookie: session=client",
		"baggage: user=client",
		"tracestate: client",
		"traceparent: 00-client",
		"X-HTTP-Method-Override: client",
		"X-Original-URL: /client",
		"X-Rewrite-URL: /client",
		"x_cos_acl: client",
		"x-cos_acl: client",
		"X_COS-ACL: client",
		"x-cos-grant_read: client",
		"x-ci_process: client",
		"x-ci-pro_cess: client",
		"Pic_Operations: client",
		"pic_operations: client",
		"X_Cos_Meta_A: client",
		"x_forwarded_for: client",
		"X-Request-Id: client",
		"Accept-Language: client",
		"From: client",
		"Via: 1.1 client",
		"Max-Forwards: 1",
		"Upgrade-Insecure-Requests: 1",
	}
	r := start(t, setup{})
	rep := r.exchange(t, "GET /key HTTP/1.1\r\n"+strings.Join(left, "\r\n")+"\r\n\r\n")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	a := r.upstream.only(t)
	got := fieldNames(a.head)
	slices.Sort(got)
	if want := []string{"Authorization", "Host", "Via", "x-cos-security-token"}; !slices.Equal(got, want) {
		t.Errorf("the upstream got %q, want %q", got, want)
	}
	if strings.Contains(a.head, "client") {
		t.Errorf("something of the client's got through:\n%s", a.head)
	}
}

func TestOutbound_HeadersForwarded(t *testing.T) {
	kept := []string{
		"Accept: */*",
		"Accept-Encoding: gzip, br;q=0.5",
		"Content-Language: zh",
		"If-Range: \"etag\"",
		"Referer: https://site.example/page?a=1",
		"Cache-Control: max-age=60",
		"Content-Disposition: attachment; filename=\"a b.txt\"",
		"Content-Encoding: gzip",
		"Content-Length: 4",
		"Content-MD5: CY9rzUYh03PK3k6DJie09g==",
		"Content-Type: text/plain;  charset=utf-8",
		"Date: Mon, 01 Jan 2024 00:00:00 GMT",
		"Expires: Thu, 01 Jan 2026 00:00:00 GMT",
		"If-Match: \"etag\"",
		"If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT",
		"Origin: https://site.example",
		"Pic-Operations: {\"is_pic_info\":1}",
		"Range: bytes=1-2,5-",
		"User-Agent: curl/8.0",
		"X-Cos-Acl: private",
		"X-Cos-Meta-Note: a \xe7\x9b\xae b",
		"X-Cos-Meta-Twice: 1",
		"X-Cos-Meta-Twice: 0",
		"X-Cos-Meta-Empty:",
		"X-Cos-Meta-With_underscore: 1",
		"X-Ci-Thing: 1",
	}
	r := start(t, setup{options: func(o *proxy.Options) { o.AllowedOrigins = []string{"https://site.example"} }})
	rep := r.exchange(t, "PUT /key HTTP/1.1\r\n"+strings.Join(kept, "\r\n")+"\r\n\r\ntest")
	if rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	a := r.upstream.only(t)
	want := parseHead("\r\n" + strings.Join(kept, "\r\n") + "\r\n\r\n")
	for name, values := range a.wire() {
		if name == "Host" || name == "Authorization" || name == "X-Cos-Security-Token" || name == "Via" {
			continue
		}
		if !slices.Equal(values, want[name]) {
			t.Errorf("%s: %q, want %q", name, values, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
	for _, name := range []string{
		"host", "content-length", "content-type", "content-md5", "range", "cache-control", "content-disposition", "content-encoding",
		"expires", "if-match", "if-modified-since", "x-cos-acl", "x-cos-meta-note", "x-cos-meta-empty", "x-cos-security-token", "x-ci-thing",
	} {
		if !slices.Contains(signedHeaders(a), name) {
			t.Errorf("%s is not signed: %s", name, a.Header.Get("Authorization"))
		}
	}
}

// signedHeaders returns the q-header-list of an arrival.
func signedHeaders(a *arrival) []string {
	for field := range strings.SplitSeq(a.Header.Get("Authorization"), "&") {
		if list, ok := strings.CutPrefix(field, "q-header-list="); ok {
			return strings.Split(list, ";")
		}
	}
	return nil
}

// The proxy adds no fields; net/http would add User-Agent and Accept-Encoding.
func TestOutbound_NoHeadersAdded(t *testing.T) {
	r := start(t, setup{})
	r.get(t, "/key")
	got := fieldNames(r.upstream.only(t).head)
	slices.Sort(got)
	if want := []string{"Authorization", "Host", "Via", "x-cos-security-token"}; !slices.Equal(got, want) {
		t.Errorf("the upstream got %q, want %q", got, want)
	}
}

func TestOutbound_Host(t *testing.T) {
	r := start(t, setup{})
	for i, host := range []string{"localhost", "LOCALHOST:4360", "127.0.0.1:1", "127.9.9.9", "[::1]:4360", "[::1]", cosHost, strings.ToUpper(cosHost) + ":80"} {
		if rep := r.exchange(t, "GET /key HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); rep.status != http.StatusOK {
			t.Fatalf("Host %s: status %d", host, rep.status)
		}
		if got := r.upstream.seen()[i].Host; got != cosHost {
			t.Errorf("Host %s arrived as %s", host, got)
		}
	}
}

// The Node SDK sends Content-Length: 0 with HEAD and DELETE. It is neither forwarded
// nor signed; the upstream of the rig verifies the signature.
func TestOutbound_ContentLengthZero(t *testing.T) {
	tests := []struct {
		method string
		wire   []string
	}{
		{http.MethodGet, nil}, {http.MethodHead, nil}, {http.MethodDelete, nil}, {http.MethodOptions, nil},
		{http.MethodPut, []string{"0"}}, {http.MethodPost, []string{"0"}},
	}
	for _, tt := range tests {
		for _, announced := range []string{"", "Content-Length: 0\r\n"} {
			t.Run(tt.method+" "+announced, func(t *testing.T) {
				r := start(t, setup{})
				rep := r.exchange(t, tt.method+" /key?uploads HTTP/1.1\r\n"+announced+"\r\n")
				if rep.status != http.StatusOK {
					t.Fatalf("status %d: %s", rep.status, rep.body)
				}
				a := r.upstream.only(t)
				if got := a.wire()["Content-Length"]; !slices.Equal(got, tt.wire) {
					t.Errorf("Content-Length %q on the wire, want %q", got, tt.wire)
				}
				if signed := slices.Contains(signedHeaders(a), "content-length"); signed != (tt.wire != nil) {
					t.Errorf("content-length signed: %v", signed)
				}
			})
		}
	}
}

// A signature uses the clock of Options, and does not outlive the credentials.
func TestOutbound_SignatureTime(t *testing.T) {
	now := time.Unix(1900000000, 0)
	k := newCredentials(1)
	k.list[0].Expires = now.Add(10 * time.Minute)
	r := start(t, setup{creds: k, options: func(o *proxy.Options) { o.Now = func() time.Time { return now } }})
	r.get(t, "/key")
	_, rest, _ := strings.Cut(r.upstream.only(t).Header.Get("Authorization"), "q-sign-time=")
	window, _, _ := strings.Cut(rest, "&")
	from, to, _ := strings.Cut(window, ";")
	if unix(from).After(now) || !unix(to).Equal(k.list[0].Expires) {
		t.Errorf("window %s at %d for credentials that expire at %d", window, now.Unix(), k.list[0].Expires.Unix())
	}
}

// Fields that Connection lists are removed before signing; fields that COS needs stay.
func TestOutbound_ConnectionKeepsSignature(t *testing.T) {
	for _, named := range []string{"Host", "Authorization", "User-Agent", "Accept", "X-Contents", ",,", "@"} {
		t.Run(named, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, "PUT /key HTTP/1.1\r\nConnection: "+named+"\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ntest")
			if rep.status != http.StatusOK {
				t.Fatalf("status %d: %s", rep.status, rep.body)
			}
			if a := r.upstream.only(t); string(a.body) != "test" || a.Host != cosHost {
				t.Errorf("arrived as\n%s%s", a.head, a.body)
			}
		})
	}
}

// A field that determines what COS does is not removed silently.
func TestOutbound_ConnectionListsField(t *testing.T) {
	r := start(t, setup{})
	for _, named := range []string{
		"x-cos-acl", "X-COS-Copy-Source", "x-cos-security-token", "x-ci-process", "Content-Length", "content-md5", "Content-Type",
		"If-None-Match", "if-match", "Range", "range", "keep-alive, X-Other,RANGE",
		"pic-operations", "Cache-Control", "Expires", "Origin", "Referer", ",x-cos-forbid-overwrite ,",
	} {
		t.Run(named, func(t *testing.T) {
			rep := r.exchange(t, "PUT /key HTTP/1.1\r\nConnection: "+named+"\r\nContent-Length: 4\r\n\r\ntest")
			doc := r.refused(t, rep, http.StatusBadRequest, "InvalidRequest")
			if !strings.Contains(doc.Message, "The Connection header lists ") {
				t.Errorf("the message does not say what is wrong: %s", doc.Message)
			}
		})
	}
	t.Run("second line", func(t *testing.T) {
		rep := r.exchange(t, "GET /key HTTP/1.1\r\nConnection: keep-alive\r\nConnection: Range\r\nRange: bytes=0-1\r\n\r\n")
		r.refused(t, rep, http.StatusBadRequest, "InvalidRequest")
	})
}
