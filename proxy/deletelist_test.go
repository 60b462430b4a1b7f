package proxy_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

func deleteRequest(body string) string {
	return fmt.Sprintf("POST /?delete HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// The object keys in a delete list are checked against the prefixes before any is
// deleted.
func TestDeleteList_Keys(t *testing.T) {
	object := func(keys ...string) string {
		return "<Delete><Quiet>true</Quiet><Object><Key>" + strings.Join(keys, "</Key></Object><Object><Key>") + "</Key></Object></Delete>"
	}
	tests := []struct {
		name, body string
		status     int
		code, says string
	}{
		{"inside", object("dir/a", "dir/b&amp;c"), http.StatusOK, "", ""},
		{"one outside", object("dir/a", "secret/b"), http.StatusForbidden, "AccessDenied", `"secret/b"`},
		{"outside after an entity", object("&#x73;ecret"), http.StatusForbidden, "AccessDenied", `"secret"`},
		{"outside after CDATA", object("<![CDATA[secret]]>"), http.StatusForbidden, "AccessDenied", `"secret"`},
		{"two keys in one object", "<Delete><Object><Key>dir/a</Key><Key>secret</Key></Object></Delete>", http.StatusForbidden, "AccessDenied", `"secret"`},
		{"dots that lead out", object("dir/../secret"), http.StatusForbidden, "AccessDenied", `"dir/../secret"`},
		{"not XML", "secret", http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"another document", "<Remove><Object><Key>secret</Key></Object></Remove>", http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"a second document", object("dir/a") + object("secret"), http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"other names", "<Delete><Object><Key>dir/a</Key></Object><object><key>secret</key></object></Delete>", http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"a key elsewhere", "<Delete><Object><Key>dir/a</Key></Object><Key>secret</Key></Delete>", http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"a key around a key", object("dir/<Key>a</Key>"), http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"a comment in a key", object("dir/<!-- -->a"), http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"an entity of its own", "<!DOCTYPE Delete [<!ENTITY a \"secret\">]>" + object("dir/a"), http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"cut", "<Delete><Object><Key>dir/a</Key></Object>", http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"nothing", " ", http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"with all that is allowed", `<?xml version="1.0"?><!-- x --><Delete xmlns="http://a/b"><Object><Key> dir/a</Key><VersionId>secret</VersionId></Object></Delete>`,
			http.StatusForbidden, "AccessDenied", `" dir/a"`},
		{"another charset", `<?xml version="1.0" encoding="utf-7"?>` + object("dir/a"), http.StatusBadRequest, "MalformedXML", "default/AllowPrefixes"},
		{"above the replay limit", object(strings.Repeat("dir/a</Key></Object><Object><Key>", 5000) + "dir/b"), http.StatusOK, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
			rep := r.exchange(t, deleteRequest(tt.body))
			if tt.status == http.StatusOK {
				if a := r.upstream.only(t); rep.status != http.StatusOK || string(a.body) != tt.body {
					t.Errorf("status %d, COS got %q", rep.status, a.body)
				}
				return
			}
			if doc := r.refused(t, rep, tt.status, tt.code); !strings.Contains(doc.Message, tt.says) {
				t.Errorf("%q does not say %s", doc.Message, tt.says)
			}
		})
	}
}

// A key that the decoder returns in hundreds of thousands of pieces takes no longer to
// parse.
func TestDeleteList_KeyInPieces(t *testing.T) {
	const piece = "<![CDATA[0123456789]]>"
	body := "<Delete><Object><Key>" + strings.Repeat(piece, 4_000_000/len(piece)) + "</Key></Object></Delete>"
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	begun := time.Now()
	r.refused(t, r.exchange(t, deleteRequest(body)), http.StatusForbidden, "AccessDenied")
	if took := time.Since(begun); took > 20*time.Second { // a minute and more, were they joined one by one
		t.Errorf("it took %v", took)
	}
}

// At the host of the bucket, the first route that allows all keys serves the request.
func TestDeleteList_Routes(t *testing.T) {
	for key, route := range map[string]string{"one/a": "first", "two/a": "second", "three/a": ""} {
		t.Run(key, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) {
				first, second := o.Routes[0], o.Routes[0]
				first.Name, first.PathPrefix, first.AllowPrefixes = "first", "/one/", []string{"one/*"}
				second.Name, second.PathPrefix, second.AllowPrefixes = "second", "/two/", []string{"two/*"}
				o.Routes = []proxy.Route{first, second}
			}})
			request := deleteRequest("<Delete><Object><Key>" + key + "</Key></Object></Delete>")
			rep := r.exchange(t, strings.Replace(request, "\r\n", "\r\nHost: "+cosHost+"\r\n", 1))
			if route == "" {
				r.refused(t, rep, http.StatusForbidden, "AccessDenied")
			} else if log := r.drained(t); rep.status != http.StatusOK || !strings.Contains(log, "route="+route+" ") {
				t.Errorf("status %d, log %s", rep.status, log)
			}
		})
	}
}

// The memory for delete lists is limited, for any number of slots.
func TestDeleteList_Memory(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	var slow []*client
	for range 16 {
		c := r.dial(t)
		c.send("POST /?delete HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4194304\r\n\r\n")
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 100 ") { // now it is being read
			t.Fatal(head)
		}
		slow = append(slow, c)
	}
	long := deleteRequest("<Delete><Object><Key>dir/a</Key></Object>" + strings.Repeat(" ", 70_000) + "</Delete>")
	if doc := r.refused(t, r.exchange(t, long), http.StatusServiceUnavailable, "SlowDown"); !strings.Contains(doc.Message, "64 MiB") {
		t.Errorf("the message is %s", doc.Message)
	}
	if rep := r.exchange(t, deleteRequest("<Delete><Object><Key>dir/a</Key></Object></Delete>")); rep.status != http.StatusOK {
		t.Errorf("a short list: %d %s", rep.status, rep.body)
	}
	for _, c := range slow {
		c.Close()
	}
	for tries := 0; strings.Contains(r.exchange(t, long).body, "SlowDown"); tries++ {
		if tries == 5000 {
			t.Fatal("the memory is not given back")
		}
		time.Sleep(time.Millisecond)
	}
}

// A body that is too long is not read.
func TestDeleteList_Limits(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	rep := r.exchange(t, "POST /?delete HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n")
	r.refused(t, rep, http.StatusBadRequest, "MalformedXML")

	r = start(t, setup{})
	if rep := r.exchange(t, deleteRequest("not XML")); rep.status != http.StatusOK {
		t.Errorf("with all keys allowed: %d %s", rep.status, rep.body)
	}
	r = start(t, setup{})
	rep = r.exchange(t, "POST /?delete HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n")
	if doc := r.refused(t, rep, http.StatusBadRequest, "MalformedXML"); !strings.Contains(doc.Message, "Content-MD5") {
		t.Errorf("with all keys allowed: %s", doc.Message)
	}
}

// COS requires Content-MD5 for delete lists. It receives the client's, or one that
// cosproxy computes and signs.
func TestDeleteList_ContentMD5(t *testing.T) {
	list := func(rest string) string {
		return "<Delete><Object><Key>dir/a</Key></Object>" + rest + "</Delete>"
	}
	short, long := list(""), list(strings.Repeat(" ", 70_000))
	digest := func(body string) string {
		sum := md5.Sum([]byte(body))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	for _, prefixes := range []string{"*", "dir/*"} {
		for _, tt := range []struct{ name, header, body, arrives string }{
			{"none", "", short, digest(short)},
			{"none, above the replay limit", "", long, digest(long)},
			{"empty", "Content-MD5:\r\n", short, digest(short)},
			{"the client's", "content-md5: " + digest(short) + "\r\n", short, digest(short)},
			{"the client's, wrong", "Content-MD5: " + digest(long) + "\r\n", short, digest(long)},
			{"the client's, above the replay limit", "Content-MD5: client\r\n", long, "client"},
		} {
			t.Run(prefixes+" "+tt.name, func(t *testing.T) {
				r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{prefixes} }})
				rep := r.exchange(t, strings.Replace(deleteRequest(tt.body), "\r\n", "\r\n"+tt.header, 1))
				a := r.upstream.only(t)
				if got := a.wire()["Content-Md5"]; rep.status != http.StatusOK || !slices.Equal(got, []string{tt.arrives}) || string(a.body) != tt.body {
					t.Errorf("status %d, Content-MD5 %q, want %q, and %d bytes", rep.status, got, tt.arrives, len(a.body))
				}
				if auth := a.wire().Get("Authorization"); !strings.Contains(auth, ";content-md5;") {
					t.Errorf("it is not signed: %s", auth)
				}
			})
		}
	}
}

// A delete of one object, or one without a body, gets no Content-MD5.
func TestDeleteList_NoContentMD5ForOthers(t *testing.T) {
	for _, request := range []string{
		"DELETE /key HTTP/1.1\r\n\r\n", "POST /?delete HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"POST /key?uploadId=1 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
	} {
		r := start(t, setup{})
		r.exchange(t, request)
		if got := r.upstream.only(t).wire()["Content-Md5"]; got != nil {
			t.Errorf("%q got %q", request, got)
		}
	}
}
