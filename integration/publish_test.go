package integration_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cosproxy/credcache"
	"cosproxy/integration/cosemu"
	"cosproxy/proxy"
)

// serveRoute serves a route that allows actions in process, with a key from the
// emulator's STS for words. With all actions allowed it stands for somebody with
// the key at hand: nothing but COS then judges.
func serveRoute(t *testing.T, emu *cosemu.Server, words, prefixes []string, actions []string) string {
	t.Helper()
	source, err := credcache.NewSTS(credcache.STSOptions{
		Pair: credcache.FixedPair(emu.SecretID(), emu.SecretKey()), Endpoint: emu.STSURL(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cache := credcache.New(source, credcache.Options{})
	t.Cleanup(cache.Close)
	routePrefixes := prefixes
	if slices.Contains(actions, "name/cos:*") {
		routePrefixes = []string{"*"}
	}
	p, err := proxy.New(proxy.Options{
		Routes: []proxy.Route{{
			Bucket: bucket, Region: region, Endpoint: plainCOS, AllowActions: actions, AllowPrefixes: routePrefixes,
			Credentials: cache.For(credcache.Scope{Bucket: bucket, Region: region, AllowPrefixes: prefixes, AllowActions: words}),
		}},
		Upstream: proxy.Upstream{ConnectTo: emu.COSAddr()},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	server := p.NewServer(proxy.ServerOptions{})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Close)
	return "http://" + l.Addr().String()
}

// aWrite is one way to store an object, with what sets its ACL or tags in a header
// or a form field.
type aWrite struct {
	name, method, target string
	header               string // one more
	form                 bool
}

var theWrites = []aWrite{
	{name: "put", method: http.MethodPut, target: "/dir/put"},
	{name: "append", method: http.MethodPost, target: "/dir/append?append&position=0"},
	{name: "multipart", method: http.MethodPost, target: "/dir/multipart?uploads"},
	{name: "copy", method: http.MethodPut, target: "/dir/copy", header: "x-cos-copy-source: " + bucketHost + "/dir/source"},
	{name: "form", method: http.MethodPost, target: "/", form: true},
}

// send stores an object; set is "name: value", or empty.
func (w aWrite) send(t *testing.T, at, set string) (status int, body string) {
	t.Helper()
	name, value, _ := strings.Cut(set, ": ")
	text := "x"
	if w.header != "" {
		text = ""
	}
	if w.form {
		text = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\ndir/form\r\n"
		if set != "" {
			text += "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
		}
		text += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nx\r\n--b--\r\n"
	}
	r, err := http.NewRequestWithContext(t.Context(), w.method, at+w.target, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case w.form:
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	case set != "":
		r.Header.Set(name, value)
	}
	if header, source, ok := strings.Cut(w.header, ": "); ok {
		r.Header.Set(header, source)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// publicBy are the settings of x-cos-acl by which others get access.
var publicBy = []string{
	"x-cos-acl: public-read", "x-cos-acl: public-read-write", "x-cos-acl: authenticated-read",
	"x-cos-acl: bucket-owner-read", "x-cos-acl: bucket-owner-full-control",
}

// changedBy are all settings that need a right of their own.
var changedBy = append(slices.Clone(publicBy),
	"X-COS-ACL: Public-Read", "x-cos-acl: private,public-read",
	`x-cos-grant-read: id="2"`, `x-cos-grant-write: id="2"`, `x-cos-grant-read-acp: id="2"`, `x-cos-grant-write-acp: id="2"`,
	`x-cos-grant-full-control: id="2"`, "x-amz-acl: public-read", "x-amz-grant-read: x",
)

// wantPrivate wants no object of emu to have an ACL but the owner's.
func wantPrivate(t *testing.T, emu *cosemu.Server) {
	t.Helper()
	for _, o := range emu.Objects(bucket) {
		for name, values := range o.Header {
			if acl := name == "x-cos-acl" && values[0] != "private" && values[0] != "default"; acl || strings.HasPrefix(name, "x-cos-grant-") {
				t.Errorf("%s is stored with %s: %s", o.Key, name, values)
			}
		}
	}
}

// TestPresets_PublishNothing: no preset but acl lets an application make
// something public through the sidecar, nor does the key by x-cos-acl if somebody
// takes it out; and ordinary uploads pass in both places.
func TestPresets_PublishNothing(t *testing.T) {
	t.Parallel()
	for _, preset := range []string{"read", "list", "upload", "write", "delete", "upload,read", "read,list,upload,write,delete"} {
		t.Run(preset, func(t *testing.T) {
			emu := startEmulator(t, cosemu.Options{StrictSignature: true})
			if _, err := sdkDirect(t, emu).Object.Put(t.Context(), "dir/source", strings.NewReader("x"), nil); err != nil {
				t.Fatal(err)
			}
			words := strings.Split(preset, ",")
			actions, err := credcache.ExpandActions(words)
			if err != nil {
				t.Fatal(err)
			}
			sidecar := serveRoute(t, emu, words, []string{"dir/*"}, actions)
			taken := serveRoute(t, emu, words, []string{"dir/*"}, []string{"name/cos:*"})
			for _, w := range theWrites {
				allowed := presetAllows(actions, w.name)
				if allowed {
					for _, set := range []string{"", "x-cos-acl: private", "x-cos-acl: default"} {
						for name, at := range map[string]string{"sidecar": sidecar, "key": taken} {
							if status, body := w.send(t, at, set); status/100 != 2 {
								t.Errorf("%s by the %s, with %q: %d %s", w.name, name, set, status, body)
							}
							if w.name == "append" {
								removeObject(t, emu, "dir/append")
							}
						}
					}
				}
				before := emu.Stats().COSRequests
				sets := slices.Concat(changedBy, []string{"acl: public-read"}[:count(w.form)])
				if !slices.Contains(actions, "name/cos:PutObjectTagging") {
					sets = append(sets, "x-cos-tagging: a=b")
				}
				for _, set := range sets {
					status, body := w.send(t, sidecar, set)
					if status != http.StatusForbidden || allowed && !strings.Contains(body, "AllowActions") {
						t.Errorf("%s by the sidecar, with %q: %d %s, want 403 that names the setting", w.name, set, status, body)
					}
				}
				if n := emu.Stats().COSRequests; n != before {
					t.Errorf("%s: %d refused requests reached COS", w.name, n-before)
				}
				for _, set := range publicBy {
					if status, body := w.send(t, taken, set); status != http.StatusForbidden {
						t.Errorf("%s by the key, with %q: %d %s, want 403", w.name, set, status, body)
					}
				}
			}
			wantPrivate(t, emu)
		})
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// presetAllows reports whether actions allow an ordinary write.
func presetAllows(actions []string, write string) bool {
	needed := map[string][]string{
		"put": {"PutObject"}, "append": {"AppendObject"}, "multipart": {"InitiateMultipartUpload"},
		"copy": {"PutObject", "GetObject"}, "form": {"PostObject"},
	}
	return !slices.ContainsFunc(needed[write], func(action string) bool { return !slices.Contains(actions, "name/cos:"+action) })
}

func removeObject(t *testing.T, emu *cosemu.Server, key string) {
	t.Helper()
	if _, err := sdkDirect(t, emu).Object.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// TestPresetACL_Publishes: with the preset acl an upload may set the ACL, and
// COS sees it.
func TestPresetACL_Publishes(t *testing.T) {
	t.Parallel()
	words := []string{"write", "read", "acl"}
	actions, err := credcache.ExpandActions(words)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range theWrites {
		t.Run(w.name, func(t *testing.T) {
			emu := startEmulator(t, cosemu.Options{StrictSignature: true})
			if _, err := sdkDirect(t, emu).Object.Put(t.Context(), "dir/source", strings.NewReader("x"), nil); err != nil {
				t.Fatal(err)
			}
			at := serveRoute(t, emu, words, []string{"dir/*"}, actions)
			if status, body := w.send(t, at, "x-cos-acl: public-read"); status/100 != 2 {
				t.Fatalf("%d %s", status, body)
			}
			if w.name == "multipart" {
				return // it is no object yet
			}
			if o, _ := emu.Object(bucket, "dir/"+w.name); !strings.Contains(fmt.Sprint(o.Header), "x-cos-acl:[public-read]") {
				t.Errorf("stored with %v", o.Header)
			}
		})
	}
}

// TestPolicy_ListsUnderEitherReading: only a document says that cos:prefix is
// compared percent-encoded; the key works either way, and is held to its prefix.
func TestPolicy_ListsUnderEitherReading(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		emu := startEmulator(t, cosemu.Options{StrictSignature: true, PlainConditions: plain})
		at := serveRoute(t, emu, []string{"list", "upload"}, []string{"dir/目录/*"}, []string{"name/cos:*"})
		for prefix, want := range map[string]int{
			"dir/目录/": 200, "dir/目录/a b+c": 200, "dir/": 403, "": 403, "dir%2F目录/": 403, "other/dir/目录/": 403,
		} {
			for _, target := range []string{"/?prefix=", "/?uploads&prefix="} {
				if status, body := do(t, http.MethodGet, at+target+url.QueryEscape(prefix), nil); status != want {
					t.Errorf("plain %t: %s%s: %d %s, want %d", plain, target, prefix, status, body, want)
				}
			}
		}
	}
}
