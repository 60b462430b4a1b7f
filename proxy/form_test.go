package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"cosproxy/proxy"
)

const boundary = "----FormBoundaryE7x"

func field(name, value string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

func file(name, content string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
		"\"\r\nContent-Type: text/x-test\r\n\r\n" + content
}

const closing = "\r\n--" + boundary + "--\r\n"

// post is a form upload. header has further header lines, each with its line end.
func post(target, header, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\n%sContent-Length: %d\r\n\r\n%s",
		target, boundary, header, len(body), body)
}

// contents are files that resemble the delimiters around them.
var contents = map[string]string{
	"empty":              "",
	"text":               "hello",
	"line ends":          "\r\n\r\n\n\r\n",
	"most of a boundary": "\r\n--" + boundary[:len(boundary)-1] + "\r\n" + boundary + "\n-" + boundary + "--\r\n-\r\n--",
	"a boundary inside":  "a--" + boundary + "--b\r--" + boundary + "c",
	"zeros":              strings.Repeat("\x00", 70_000),
	"large":              strings.Repeat("0123456789abcde\n", 20_000),
}

// The signature fields come first; everything else is unchanged.
func TestForm_Upload(t *testing.T) {
	for name, content := range contents {
		for _, epilogue := range []string{"", "\r\n", "\r\nepilogue\r\n--x"} {
			t.Run(fmt.Sprintf("%s, %q", name, epilogue), func(t *testing.T) {
				after := content + "\r\n--" + boundary + "--" + epilogue
				r := start(t, setup{})
				rep := r.exchange(t, post("/", "Cookie: c=1\r\nUser-Agent: ua\r\nX-Other: 1\r\nOrigin: http://localhost\r\n",
					field("key", "dir/a b.txt")+field("success_action_status", "201")+field("x-cos-meta-Colour", "blau — blue")+
						field("Content-Type", "text/plain")+field("empty", "")+field("lines", "a\r\n\r\nb\n")+file("f.txt", after)))
				if rep.status != http.StatusOK {
					t.Fatalf("got\n%s%s", rep.head, rep.body)
				}
				a, f := r.upstream.only(t), r.form(t)
				want := append(slices.Clone(signedFields), "key", "success_action_status", "x-cos-meta-Colour", "Content-Type", "empty", "lines")
				if !slices.Equal(f.names, want) {
					t.Errorf("fields %q, want %q", f.names, want)
				}
				for name, value := range map[string]string{"key": "dir/a b.txt", "success_action_status": "201", "x-cos-meta-Colour": "blau — blue",
					"Content-Type": "text/plain", "empty": "", "lines": "a\r\n\r\nb\n"} {
					if f.values[name] != value {
						t.Errorf("%s is %q, want %q", name, f.values[name], value)
					}
				}
				if f.rawFileAndTail != after || f.content != content || f.filename != "f.txt" || f.fileType != "text/x-test" {
					t.Errorf("the file arrived as %.100q (%q, %q)", f.content, f.filename, f.fileType)
				}
				if a.ContentLength != int64(len(a.body)) || a.wire().Get("Transfer-Encoding") != "" {
					t.Errorf("%d bytes for\n%s", len(a.body), a.head)
				}
				wantNames := []string{"Host", "User-Agent", "Origin", "Via", "Content-Type", "Content-Length"}
				if got := fieldNames(a.head); !slices.Equal(got, wantNames) {
					t.Errorf("headers %q, want %q", got, wantNames)
				}
			})
		}
	}
}

// A form that a client has signed is sent with one signature, that of cosproxy.
func TestForm_SignedByClient(t *testing.T) {
	for _, name := range []string{
		"policy", "Policy", "q-sign-algorithm", "q-ak", "Q-AK", "q-sign-time", "q-key-time", "q-signature", "q-anything", "Signature",
		"x-cos-security-token", "X-Cos-Security-Token", "x-ci-security-token", "Authorization", "bucket",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, post("/?q-ak=client&q-signature=client", "Authorization: client\r\nx-cos-security-token: client\r\n",
				field(name, "client")+field("key", "a")+field(name, "client")+file("f", "x"+closing)))
			if rep.status != http.StatusOK {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			a := r.upstream.only(t)
			if f := r.form(t); !slices.Equal(f.names, append(slices.Clone(signedFields), "key")) {
				t.Errorf("fields %q", f.names)
			}
			if strings.Contains(string(a.body)+a.head, "client") {
				t.Errorf("something of the client's signature came through:\n%s%s", a.head, a.body)
			}
		})
	}
}

// COS receives the object key that it stores.
func TestForm_ObjectKey(t *testing.T) {
	tests := []struct{ name, key, filename, prefix, want string }{
		{"plain", "a/b.txt", "f", "", "a/b.txt"},
		{"filename", "up/${filename}", "a b.txt", "", "up/a b.txt"},
		{"filename twice", "${filename}/${filename}", "a", "", "a/a"},
		{"filename in UTF-8", "up/${filename}", "文件.txt", "", "up/文件.txt"},
		{"filename with a path", "up/${filename}", "dir/../x/a.txt", "", "up/a.txt"},
		{"filename with a DOS path", "up/${filename}", `C:\dir\a.txt`, "", "up/a.txt"},
		{"filename with quotes", "up/${filename}", "a%22b.txt", "", "up/a%22b.txt"},
		{"key prefix", "a", "f", "team/", "team/a"},
		{"key prefix and filename", "${filename}", "a", "team/", "team/a"},
		{"dollar alone", "a$b{c}", "f", "", "a$b{c}"},
		{"slashes and dots", "a//b/./c", "f", "", "a//b/./c"},
		{"not substituted elsewhere", "a", "${filename}", "", "a"},
	}
	for _, tt := range tests {
		for _, name := range []string{"key", "Key"} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].ObjectPrefix = tt.prefix }})
				rep := r.exchange(t, post("/", "", field(name, tt.key)+file(tt.filename, "x"+closing)))
				if rep.status != http.StatusOK {
					t.Fatalf("got\n%s%s", rep.head, rep.body)
				}
				f := r.form(t)
				if f.values["key"] != tt.want || f.filename != tt.filename {
					t.Errorf("key %q, want %q; filename %q", f.values["key"], tt.want, f.filename)
				}
				if log := r.drained(t); !strings.Contains(log, "cos.action=name/cos:PostObject http.response.status_code=200") {
					t.Errorf("log %s", log)
				}
			})
		}
	}
}

// The prefixes of the route apply to the object key of the form after substitution.
func TestForm_NotAllowed(t *testing.T) {
	upload := []string{"name/cos:PostObject"}
	tests := []struct {
		name           string
		actions        []string
		prefix         string
		key, filename  string
		code, mentions string
	}{
		{"no PostObject", []string{"name/cos:PutObject"}, "", "up/a", "f", "AccessDenied", "default/AllowActions"},
		{"another prefix", upload, "", "down/a", "f", "AccessDenied", "default/AllowPrefixes"},
		{"the prefix without its slash", upload, "", "up", "f", "AccessDenied", "default/AllowPrefixes"},
		{"after a slash", upload, "", "/up/a", "f", "AccessDenied", "default/AllowPrefixes"},
		{"out with dots", upload, "", "up/../a", "f", "AccessDenied", "default/AllowPrefixes"},
		{"out with dots behind the key prefix", upload, "up/", "../a", "f", "AccessDenied", "default/AllowPrefixes"},
		{"key prefix elsewhere", upload, "other/", "up/a", "f", "AccessDenied", "default/AllowPrefixes"},
		{"by filename", upload, "", "${filename}", "a", "AccessDenied", "default/AllowPrefixes"},
		{"filename of dots", upload, "", "up/x/${filename}", "..", "AccessDenied", "default/AllowPrefixes"},
		{"the bucket", []string{"*"}, "", "..", "f", "InvalidURI", ""},
		{"the bucket by filename", []string{"*"}, "", "${filename}", "..", "InvalidURI", ""},
		{"filename that is a variable", upload, "", "up/${filename}", "${filename}", "InvalidArgument", "${"},
		{"another variable", upload, "", "up/${date}", "f", "InvalidArgument", "${"},
		{"halves of a variable", upload, "", "up/${file${filename}", "name}", "InvalidArgument", "${"},
		{"no filename", upload, "", "up/${filename}", "", "InvalidArgument", "no UTF-8 filename"},
		{"filename that is a folder", upload, "", "up/${filename}", "x/", "InvalidArgument", "no UTF-8 filename"},
		{"filename not UTF-8", upload, "", "up/${filename}", "\xc4\xe3", "InvalidArgument", "UTF-8"},
		{"empty", upload, "", "", "f", "InvalidArgument", "key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) {
				o.Routes[0].AllowActions, o.Routes[0].AllowPrefixes, o.Routes[0].ObjectPrefix = tt.actions, []string{"up/*"}, tt.prefix
			}})
			status := http.StatusBadRequest
			if tt.code == "AccessDenied" {
				status = http.StatusForbidden
			}
			rep := r.exchange(t, post("/", "", field("key", tt.key)+file(tt.filename, "x"+closing)))
			if doc := r.refused(t, rep, status, tt.code); !strings.Contains(doc.Message, tt.mentions) {
				t.Errorf("message %q does not speak of %s", doc.Message, tt.mentions)
			}
		})
	}
}

// Several routes lead to one bucket: selected by path, or, at the host of the bucket,
// by object key.
func TestForm_Routes(t *testing.T) {
	options := func(o *proxy.Options) {
		first, second := o.Routes[0], o.Routes[0]
		first.Name, first.PathPrefix, first.AllowPrefixes, first.AllowActions = "first", "/one/", []string{"one/*"}, []string{"name/cos:PostObject"}
		second.Name, second.PathPrefix, second.AllowPrefixes, second.ObjectPrefix = "second", "/two/", []string{"two/*"}, "two/"
		o.Routes = []proxy.Route{first, second}
	}
	tests := []struct{ name, target, host, key, want, route string }{
		{"by path", "/one/", "localhost", "one/a", "one/a", "first"},
		{"by path, with a key prefix", "/two/", "localhost", "a", "two/a", "second"},
		{"own host, first", "/", cosHost, "one/a", "one/a", "first"},
		{"own host, second", "/", cosHost, "two/a", "two/a", "second"},
		{"own host, neither", "/", cosHost, "three/a", "", ""},
		{"by path, the other's key", "/one/", "localhost", "two/a", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: options})
			request := strings.Replace(post(tt.target, "", field("key", tt.key)+file("f", "x"+closing)), "Host: localhost", "Host: "+tt.host, 1)
			rep := r.exchange(t, request)
			if tt.want == "" {
				r.refused(t, rep, http.StatusForbidden, "AccessDenied")
				return
			}
			if f := r.form(t); rep.status != http.StatusOK || f.values["key"] != tt.want {
				t.Errorf("status %d, key %q, want %q", rep.status, f.values["key"], tt.want)
			}
			if log := r.drained(t); !strings.Contains(log, "route="+tt.route) {
				t.Errorf("log %s", log)
			}
		})
	}
}

// A backslash before the closing quote would escape it.
func TestForm_FilenameEndsWithBackslash(t *testing.T) {
	r := start(t, setup{})
	r.exchange(t, post("/", "", field("key", "a")+file(`dir\\`, "x"+closing)))
	if f := r.form(t); f.filename != "dir" {
		t.Errorf("filename %q", f.filename)
	}
}

func TestForm_Malformed(t *testing.T) {
	const ct = "Content-Type: multipart/form-data; boundary=" + boundary
	whole := field("key", "a") + file("f", "x"+closing)
	replaced := func(old, with string) string { return strings.Replace(post("/", "", whole), old, with, 1) }
	body := func(b string) string { return post("/", "", b) }
	part := func(header string) string { return "--" + boundary + "\r\n" + header + "\r\n\r\nv\r\n" }
	tests := []struct {
		name, request string
		status        int
		code          string
	}{
		{"other type", replaced(ct, "Content-Type: application/x-www-form-urlencoded"), 400, "MalformedPOSTRequest"},
		{"no type", replaced(ct+"\r\n", ""), 400, "MalformedPOSTRequest"},
		{"two types", replaced(ct, ct+"\r\n"+ct), 400, "MalformedPOSTRequest"},
		{"no boundary", replaced(ct, "Content-Type: multipart/form-data"), 400, "MalformedPOSTRequest"},
		{"two boundaries", replaced(ct, ct+"; boundary=b"), 400, "MalformedPOSTRequest"},
		{"empty boundary", replaced(ct, "Content-Type: multipart/form-data; boundary=\"\""), 400, "MalformedPOSTRequest"},
		{"long boundary", replaced(ct, "Content-Type: multipart/form-data; boundary="+strings.Repeat("b", 71)), 400, "MalformedPOSTRequest"},
		{"line end in the boundary", replaced(ct, "Content-Type: multipart/form-data; boundary*=utf-8''a%0d%0ab"), 400, "MalformedPOSTRequest"},
		{"no body", "POST / HTTP/1.1\r\nHost: localhost\r\n" + ct + "\r\nContent-Length: 0\r\n\r\n", 400, "MalformedPOSTRequest"},
		{"no length", "POST / HTTP/1.1\r\nHost: localhost\r\n" + ct + "\r\n\r\n", 400, "MalformedPOSTRequest"},
		{"chunked and long", "POST / HTTP/1.1\r\nHost: localhost\r\n" + ct + "\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n" + strings.Repeat("a", 64<<10+1) + "\r\n0\r\n\r\n", 411, "MissingContentLength"},
		{"chunked and empty", "POST / HTTP/1.1\r\nHost: localhost\r\n" + ct + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "MalformedPOSTRequest"},
		{"a parameter", post("/?x=1", "", whole), 400, "InvalidArgument"},
		{"a header that means something", post("/", "x-cos-acl: public-read\r\n", whole), 400, "InvalidArgument"},
		{"a header of CI", post("/", "Pic-Operations: {}\r\n", whole), 400, "InvalidArgument"},
		{"another boundary", body(strings.ReplaceAll(whole, boundary, "other")), 400, "MalformedPOSTRequest"},
		{"preamble", body("preamble\r\n" + whole), 400, "MalformedPOSTRequest"},
		{"bare line feeds", body(strings.ReplaceAll(whole, "\r\n", "\n")), 400, "MalformedPOSTRequest"},
		{"boundary after a bare line feed", body(field("key", "a\n--"+boundary+"\r\nx") + file("f", "x"+closing)), 400, "MalformedPOSTRequest"},
		{"boundary that goes on", body(field("key", "a\r\n--"+boundary+"x") + file("f", "x"+closing)), 400, "MalformedPOSTRequest"},
		{"boundary that goes on before a part", body(field("key", "a") + strings.Replace(file("f", "x"+closing), boundary, boundary+"x", 1)), 400, "MalformedPOSTRequest"},
		{"no line end before the boundary", body("--" + boundary + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + file("f", "x"+closing)), 400, "MalformedPOSTRequest"},
		{"no file", body(field("key", "a") + closing[2:]), 400, "MalformedPOSTRequest"},
		{"no file and no end", body(field("key", "a")), 400, "MalformedPOSTRequest"},
		{"ends in a header", body(whole[:strings.LastIndex(whole, "\r\n\r\nx")+2]), 400, "MalformedPOSTRequest"},
		{"file under another name", body(field("key", "a") + strings.Replace(file("f", "x"+closing), `"file"`, `"upload"`, 1)), 400, "MalformedPOSTRequest"},
		{"no key", body(field("other", "a") + file("f", "x"+closing)), 400, "InvalidArgument"},
		{"key after the file", body(file("f", "x\r\n"+field("key", "a")+closing[2:])), 400, "InvalidArgument"},
		{"two keys", body(field("key", "a") + whole), 400, "InvalidArgument"},
		{"two keys, spelled otherwise", body(field("Key", "a") + whole), 400, "InvalidArgument"},
		{"a field twice", body(field("acl", "a") + field("ACL", "b") + whole), 400, "InvalidArgument"},
		{"not UTF-8", body(field("acl", "\xff") + whole), 400, "InvalidArgument"},
		{"blank in a name", body(field("a b", "c") + whole), 400, "InvalidArgument"},
		{"quote in a name", body(field(`a\"b`, "c") + whole), 400, "InvalidArgument"},
		{"no name", body(part("Content-Disposition: form-data") + whole), 400, "MalformedPOSTRequest"},
		{"no disposition", body(part("X: y") + whole), 400, "MalformedPOSTRequest"},
		{"no header", body("--" + boundary + "\r\n\r\nv\r\n" + whole), 400, "MalformedPOSTRequest"},
		{"two dispositions", body(part("Content-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b") + whole), 400, "MalformedPOSTRequest"},
		{"two names", body(part("Content-Disposition: form-data; name=a; name=b") + whole), 400, "MalformedPOSTRequest"},
		{"another disposition", body(part("Content-Disposition: attachment; name=a") + whole), 400, "MalformedPOSTRequest"},
		{"folded header", body(part("Content-Disposition: form-data;\r\n name=a") + whole), 400, "MalformedPOSTRequest"},
		{"control in a header", body(part("Content-Disposition: form-data; name=a\r\nContent-Type: a\rb") + whole), 400, "MalformedPOSTRequest"},
		{"encoded", body(part("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64") + whole), 400, "MalformedPOSTRequest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			r.refused(t, r.exchange(t, tt.request), tt.status, tt.code)
		})
	}
}

// Valid forms that differ from the usual ones.
func TestForm_Unusual(t *testing.T) {
	whole := field("key", "a") + file("f", "x"+closing)
	for name, request := range map[string]string{
		"line end in front":        post("/", "", "\r\n"+whole),
		"blanks behind a boundary": post("/", "", strings.Replace(whole, "\r\nContent", " \t\r\nContent", 1)),
		"quoted boundary":          strings.Replace(post("/", "", whole), "boundary="+boundary, `boundary="`+boundary+`"; charset=utf-8`, 1),
		"unquoted names":           post("/", "", strings.ReplaceAll(strings.ReplaceAll(whole, `"key"`, "key"), `"file"`, "file")),
		"other headers":            post("/", "", strings.ReplaceAll(whole, "\r\n\r\n", "\r\nContent-Length: 1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")),
		"file without a name":      post("/", "", strings.Replace(whole, `; filename="f"`, "", 1)),
		"file spelled otherwise":   post("/", "", strings.Replace(whole, `"file"`, `"File"`, 1)),
		"filename in RFC 8187":     post("/", "", strings.Replace(whole, `filename="f"`, "filename*=utf-8''%22%0d%0ax%3a%20y", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{})
			if rep := r.exchange(t, request); rep.status != http.StatusOK {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			if f := r.form(t); f.values["key"] != "a" || f.content != "x" || strings.Contains(f.filename, `"`) {
				t.Errorf("arrived as %+v", f)
			}
		})
	}
}

func TestForm_Limits(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(field(fmt.Sprint("f", i), "v"))
		}
		return b.String()
	}
	// sized makes everything before the file n bytes long, and the body
	// longer than what is read ahead of sending.
	sized := func(n int) string {
		rest := field("key", "a") + field("x", "") + file("f", "")
		return field("key", "a") + field("x", strings.Repeat("x", n-len(rest))) + file("f", strings.Repeat("y", 128<<10)+closing)
	}
	for name, tt := range map[string]struct {
		body string
		code string
	}{
		"100 fields":                {many(99) + field("key", "a") + file("f", "x"+closing), ""},
		"101 fields":                {many(100) + field("key", "a") + file("f", "x"+closing), "MaxPostPreDataLengthExceeded"},
		"64 KiB":                    {sized(64 << 10), ""},
		"64 KiB and a byte":         {sized(64<<10 + 1), "MaxPostPreDataLengthExceeded"},
		"a line without end":        {strings.Repeat("x", 1<<20), "MaxPostPreDataLengthExceeded"},
		"a value of lines":          {field("key", strings.Repeat("x\r\n", 1<<18)) + file("f", closing), "MaxPostPreDataLengthExceeded"},
		"headers without end":       {"--" + boundary + "\r\n" + strings.Repeat("X: y\r\n", 1<<18), "MalformedPOSTRequest"},
		"other headers without end": {"--" + boundary + "\r\nX: " + strings.Repeat("y", 1<<20), "MaxPostPreDataLengthExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, post("/", "", tt.body))
			if tt.code != "" {
				r.refused(t, rep, http.StatusBadRequest, tt.code)
			} else if rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		})
	}
}

// neverWhole is an upstream that must never receive a complete body.
func neverWhole(t *testing.T) func(*arrival) {
	return func(a *arrival) {
		if n, err := io.Copy(io.Discard, a.Body); err == nil {
			t.Errorf("COS received a complete form of %d bytes:\n%s", n, a.head)
			a.respond(ok)
		}
	}
}

var badTails = map[string]string{
	"another field":          "\r\n" + field("acl", "public-read") + closing[2:],
	"another file":           "\r\n" + file("g", "y"+closing),
	"a field and no end":     "\r\n" + field("acl", "public-read"),
	"after a bare line feed": "\n--" + boundary + "\r\n\r\n" + closing,
	"after two line feeds":   "\n\n--" + boundary + "\r\n\r\n" + closing,
	"boundary that goes on":  "\r\n--" + boundary + "x" + closing,
	"one dash":               "\r\n--" + boundary + "-" + closing,
	"closed after a bare LF": "\n" + closing[2:],
	"closed after two LFs":   "\r\n\n" + closing[2:],
	"closed twice":           closing + "--" + boundary + "--\r\n",
	"goes on when closed":    closing + field("acl", "public-read") + closing[2:],
	"no closing boundary":    "",
	"half of it":             closing[:len(closing)-4],
	"all but a dash":         closing[:len(closing)-3],
}

// A form must end after its file, with a closing boundary. Otherwise COS never receives
// the complete body.
func TestForm_BadTail(t *testing.T) {
	for name, tail := range badTails {
		for _, size := range []int{1, 100, 100 << 10, 1 << 20} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				t.Parallel()
				r := start(t, setup{handle: neverWhole(t)})
				rep := r.exchange(t, post("/", "", field("key", "a")+file("f", strings.Repeat("x", size)+tail)))
				if rep.status != http.StatusBadRequest || rep.cosError(t).Code != "MalformedPOSTRequest" {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
				if n := len(r.upstream.seen()); size <= 100 && n != 0 {
					t.Errorf("%d requests reached the upstream", n)
				}
			})
		}
	}
}

// The delimiter after an empty file may share the line end of the part header.
func TestForm_EmptyFileSharesLineEnd(t *testing.T) {
	r := start(t, setup{})
	r.refused(t, r.exchange(t, post("/", "", field("key", "a")+file("f", field("acl", "b")+closing[2:]))), http.StatusBadRequest, "MalformedPOSTRequest")
	if rep := r.exchange(t, post("/", "", field("key", "a")+file("f", closing[2:]))); rep.status != http.StatusOK || r.form(t).content != "" {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
}

// The same for any split of the bytes into pieces.
func TestForm_Pieces(t *testing.T) {
	content := strings.Repeat("0123456789abcde\n", 5000) + contents["most of a boundary"]
	for name, tail := range map[string]string{"good": closing, "bad": badTails["another field"], "twice": badTails["closed twice"]} {
		for _, piece := range []int{1, 7, len(boundary), 1000} {
			t.Run(fmt.Sprint(name, " ", piece), func(t *testing.T) {
				t.Parallel()
				handle := neverWhole(t)
				if name == "good" {
					handle = nil
				}
				r := start(t, setup{handle: handle})
				c := r.dial(t)
				request := post("/", "", field("key", "a")+file("f", content+tail))
				from := len(request) - len(tail) - 200
				c.send(request[:from])
				go func() { // the response may come before the end
					for rest := request[from:]; rest != ""; {
						n := min(piece, len(rest))
						if _, err := io.WriteString(c, rest[:n]); err != nil {
							return
						}
						rest = rest[n:]
					}
				}()
				rep := c.reply("POST")
				if name == "good" {
					if f := r.form(t); rep.status != http.StatusOK || f.content != content {
						t.Errorf("got\n%s%s", rep.head, rep.body)
					}
				} else if rep.status != http.StatusBadRequest || rep.cosError(t).Code != "MalformedPOSTRequest" {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
			})
		}
	}
}

// A line end may arrive in two pieces.
func TestForm_ByteByByte(t *testing.T) {
	for name, tail := range map[string]string{"good": closing, "bare": badTails["closed after a bare LF"]} {
		request := post("/", "", field("key", "a")+file("f", strings.Repeat("x", 100<<10)+tail))
		r := start(t, setup{})
		c := r.dial(t)
		var sending sync.WaitGroup
		sending.Go(func() {
			for i := range len(request) {
				if _, err := io.WriteString(c, request[i:i+1]); err != nil {
					return // refused
				}
			}
		})
		want := http.StatusOK
		if name != "good" {
			want = http.StatusBadRequest
		}
		if rep := c.reply("POST"); rep.status != want {
			t.Errorf("%s: %d %s", name, rep.status, rep.body)
		}
		c.Close()
		sending.Wait()
	}
}

// If the client leaves within the body, COS stores nothing.
func TestForm_Interrupted(t *testing.T) {
	whole := post("/", "", field("key", "a")+file("f", strings.Repeat("x", 200<<10)+closing))
	for name, at := range map[string]int{
		"in a field": strings.Index(whole, `name="key"`), "in the file": len(whole) - 100<<10, "in the boundary": len(whole) - 6, "before the last byte": len(whole) - 1,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: neverWhole(t)})
			c := r.dial(t)
			c.send(whole[:at])
			c.Close()
			if log := r.drained(t); strings.Contains(log, "http.response.status_code=200") {
				t.Errorf("log %s", log)
			}
		})
	}
}

// A success from COS counts only if COS has received the complete form.
func TestForm_AcknowledgedTooEarly(t *testing.T) {
	for _, status := range []string{"200 OK", "204 No Content", "303 See Other"} {
		t.Run(status, func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				_, _ = io.ReadFull(a.Body, make([]byte, 4))
				a.respond("HTTP/1.1 " + status + "\r\nx-cos-request-id: id\r\nContent-Length: 0\r\nLocation: http://localhost/\r\n\r\n")
				a.waitGone()
			}})
			c := r.dial(t)
			request := post("/", "", field("key", "a")+file("f", strings.Repeat("x", 200<<10)+closing))
			c.send(request[:100<<10])
			rep := c.reply("POST")
			if rep.status != http.StatusBadGateway || rep.cosError(t).Code != "IncompleteBody" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		})
	}
}

// Responses of COS to success_action_status and success_action_redirect are forwarded.
func TestForm_ResponsesForwarded(t *testing.T) {
	for name, response := range map[string]string{
		"204": "HTTP/1.1 204 No Content\r\nx-cos-request-id: id\r\nETag: \"e\"\r\nLocation: http://" + cosHost + "/a\r\n\r\n",
		"201": "HTTP/1.1 201 Created\r\nx-cos-request-id: id\r\nETag: \"e\"\r\nContent-Type: application/xml\r\nContent-Length: 15\r\n\r\n<PostResponse/>",
		"303": "HTTP/1.1 303 See Other\r\nx-cos-request-id: id\r\nLocation: https://my.website/?bucket=b&key=a&etag=%22e%22\r\nContent-Length: 0\r\n\r\n",
		"403": errorResponse(403, "AccessDenied", "Access Denied."),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: raw(response)})
			checkSame(t, r.exchange(t, post("/", "", field("key", "a")+file("f", "x"+closing))), response)
		})
	}
	t.Run("303 that is not from COS", func(t *testing.T) {
		r := start(t, setup{handle: raw("HTTP/1.1 303 See Other\r\nLocation: https://portal.example/\r\nContent-Length: 0\r\n\r\n")})
		rep := r.exchange(t, post("/", "", field("key", "a")+file("f", "x"+closing)))
		if rep.status != http.StatusBadGateway {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
	})
}

// rejectsForms sends refusal while the first credentials are used.
func rejectsForms(refusal string) func(*arrival) {
	return func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		if strings.Contains(string(a.body), "\r\n\r\nAKIDsentinel1\r\n") || strings.Contains(a.wire().Get("Authorization"), "AKIDsentinel1&") {
			a.respond(refusal)
			return
		}
		a.respond(ok)
	}
}

// Rejected credentials are replaced for forms too. A small form is signed again, which
// changes only the signature fields.
func TestForm_CredentialsRejected(t *testing.T) {
	for _, rejection := range rejections {
		t.Run(rejection.name, func(t *testing.T) {
			r := start(t, setup{handle: rejectsForms(rejection.response)})
			rep := r.exchange(t, post("/", "", field("key", "a")+file("f", "content"+closing)))
			if rep.status != http.StatusOK {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			seen := r.upstream.seen()
			if len(seen) != 2 {
				t.Fatalf("%d attempts, want 2", len(seen))
			}
			for i, a := range seen {
				f, err := a.parseForm()
				if want := fmt.Sprint("AKIDsentinel", i+1); err != nil || f.values["q-ak"] != want || f.content != "content" || f.values["key"] != "a" {
					t.Errorf("attempt %d: %+v (%v)", i+1, f, err)
				}
			}
			if got := r.creds.rejected(); !slices.Equal(got, []string{"AKIDsentinel1"}) {
				t.Errorf("reported as rejected: %q", got)
			}
		})
		t.Run(rejection.name+", large", func(t *testing.T) {
			r := start(t, setup{handle: rejectsForms(rejection.response)})
			r.upstream.probed = true
			content := strings.Repeat("x", 64<<10)
			rep := r.exchange(t, post("/", "", field("key", "a")+file("f", content+closing)))
			if rep.status != http.StatusOK {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			// Its key is tried first: what COS refuses then could not be sent again.
			seen := r.upstream.seen()
			if len(seen) != 2 || seen[0].Method != http.MethodGet || seen[0].target() != "/?location" || len(seen[0].body) > 0 {
				t.Fatalf("%d requests, first\n%s", len(seen), seen[0].head)
			}
			f, err := seen[1].parseForm()
			if err != nil || f.values["q-ak"] != "AKIDsentinel2" || f.content != content {
				t.Errorf("the form: key %q, %d bytes (%v)", f.values["q-ak"], len(f.content), err)
			}
			if got := r.creds.rejected(); !slices.Equal(got, []string{"AKIDsentinel1"}) {
				t.Errorf("reported as rejected: %q", got)
			}
		})
	}
}

// A large form is not sent with rejected credentials. The client gets COS's response to
// the preflight request.
func TestForm_LargeNoNewCredentials(t *testing.T) {
	refusal := errorResponse(403, "InvalidAccessKeyId", "no")
	for name, tt := range map[string]struct {
		trusted  bool
		attempts int
	}{"rejected": {false, 1}, "rejected, accepted before": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			k := newCredentials(1)
			k.trusted = tt.trusted
			r := start(t, setup{creds: k, handle: rejectsForms(refusal)})
			r.upstream.probed = true
			checkSame(t, r.exchange(t, post("/", "", field("key", "a")+file("f", strings.Repeat("x", 64<<10)+closing))), refusal)
			if n := len(r.upstream.seen()); n != tt.attempts {
				t.Errorf("%d requests, want %d", n, tt.attempts)
			}
			for _, a := range r.upstream.seen() {
				if a.isForm() {
					t.Error("the form was sent")
				}
			}
		})
	}
}

// One rejection of trusted credentials does not fail a large form.
func TestForm_LargeOneRejection(t *testing.T) {
	k := newCredentials(1)
	k.trusted = true
	r := start(t, setup{creds: k, handle: inTurn(refuse(errorResponse(403, "InvalidAccessKeyId", "no")), take)})
	r.upstream.probed = true
	if rep := r.exchange(t, post("/", "", field("key", "a")+file("f", strings.Repeat("x", 64<<10)+closing))); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	if seen := r.upstream.seen(); len(seen) != 3 || seen[1].isForm() || !seen[2].isForm() {
		t.Errorf("%d requests, want the question twice and the form", len(seen))
	}
}

// The preflight request leaves its connection open for the form.
func TestForm_LargeKeepsConnection(t *testing.T) {
	r := start(t, setup{handle: func(a *arrival) {
		if a.readBody() == nil {
			a.respond("HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 100))
		}
	}})
	r.upstream.probed = true
	for range 4 {
		if rep := r.exchange(t, post("/", "", field("key", "a")+file("f", strings.Repeat("x", 64<<10)+closing))); rep.status != http.StatusOK {
			t.Fatalf("got\n%s%s", rep.head, rep.body)
		}
	}
	r.upstream.mu.Lock()
	defer r.upstream.mu.Unlock()
	if n := len(r.upstream.conns); n != 1 {
		t.Errorf("%d connections for %d requests", n, len(r.upstream.arrivals))
	}
}

// A small form is retried after a transient error, unless x-cos-forbid-overwrite could
// make COS reject the second one.
func TestForm_Retried(t *testing.T) {
	for name, tt := range map[string]struct {
		fields   string
		attempts int
		status   int
	}{
		"plain":     {"", 2, http.StatusOK},
		"only once": {field("x-cos-forbid-overwrite", "true"), 1, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: inTurn(raw(errorResponse(503, "SlowDown", "")), take)})
			rep := r.exchange(t, post("/", "", tt.fields+field("key", "a")+file("f", "x"+closing)))
			if n := len(r.upstream.seen()); rep.status != tt.status || n != tt.attempts {
				t.Errorf("status %d after %d attempts, want %d after %d", rep.status, n, tt.status, tt.attempts)
			}
		})
	}
}

func TestForm_LargeFlatMemory(t *testing.T) {
	want, _ := sum(io.LimitReader(&sequence{}, large))
	head, end := field("key", "a")+file("f", ""), closing
	sums := make(chan uint64, 1)
	r := start(t, setup{handle: func(a *arrival) {
		var before []byte
		for b := make([]byte, 1); !strings.HasSuffix(string(before), "text/x-test\r\n\r\n"); before = append(before, b...) {
			if _, err := io.ReadFull(a.Body, b); err != nil {
				return
			}
		}
		got, _ := sum(io.LimitReader(a.Body, large))
		if rest, err := io.ReadAll(a.Body); err == nil && string(rest) == closing {
			sums <- got
			a.respond(ok)
		}
	}})
	c := r.dial(t)
	spent := allocated(func() {
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n%s",
			boundary, len(head)+large+len(end), head))
		_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{io.LimitReader(&sequence{}, large)}, make([]byte, 64<<10))
		c.send(end)
		if rep := c.reply("POST"); rep.status != http.StatusOK {
			t.Fatalf("got\n%s%s", rep.head, rep.body)
		}
	})
	if got := <-sums; got != want {
		t.Error("the file arrived changed")
	}
	if spent > allowance {
		t.Errorf("%d bytes were allocated for a form of %d, want at most %d", spent, large, allowance)
	}
}

// A field name must not match another one for a server that reads _ as -.
func TestForm_UnderscoreFields(t *testing.T) {
	for name, passes := range map[string]bool{
		"x_cos_acl": false, "x-cos-grant_read": false, "X_Cos_Tagging": false, "x-cos_security-token": false,
		"Pic_Operations": false, "x_amz_acl": false, "x-ci_a": false, "q_signature": false,
		"x-cos-meta-a_b": true, "my_field": true,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, post("/", "", field("key", "a")+field(name, "public-read")+file("f", "x"+closing)))
			if passes {
				if rep.status != http.StatusOK {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
				return
			}
			r.refused(t, rep, http.StatusBadRequest, "InvalidArgument")
		})
	}
}
