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

// serveRoute serves a route that allows actions, in this process, with credentials for
// words from the STS of the emulator. If it allows all actions, it represents an
// attacker with the credentials: only COS checks the requests.
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
			Bucket: bucket, Region: region, Endpoint: plainEndpoint, AllowActions: actions, AllowPrefixes: routePrefixes,
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

// writeRequest is one way to store an object. A header or form field sets its ACL or
// tags.
type writeRequest struct {
	name, method, target string
	copySource           string // x-cos-copy-source, or empty
	form                 bool
}

var writeRequests = []writeRequest{
	{name: "put", method: http.MethodPut, target: "/dir/put"},
	{name: "append", method: http.MethodPost, target: "/dir/append?append&position=0"},
	{name: "multipart", method: http.MethodPost, target: "/dir/multipart?uploads"},
	{name: "copy", method: http.MethodPut, target: "/dir/copy", copySource: "x-cos-copy-source: " + bucketHost + "/dir/source"},
	{name: "form", method: http.MethodPost, target: "/", form: true},
}

// send stores an object. set is "name: value", or empty.
func (w writeRequest) send(t *testing.T, at, set string) (status int, body string) {
	t.Helper()
	name, value, _ := strings.Cut(set, ": ")
	text := "x"
	if w.copySource != "" {
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
	if header, source, ok := strings.Cut(w.copySource, ": "); ok {
		r.Header.Set(header, source)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	response, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(response)
}

// publicACLs are the values of x-cos-acl that grant access to others.
var publicACLs = []string{
	"x-cos-acl: public-read", "x-cos-acl: public-read-write", "x-cos-acl: authenticated-read",
	"x-cos-acl: bucket-owner-read", "x-cos-acl: bucket-owner-full-control",
}

// accessSettings are all fields that need an action of their own.
var accessSettings = append(slices.Clone(publicACLs),
	"X-COS-ACL: Public-Read", "x-cos-acl: private,public-read",
	`x-cos-grant-read: id="2"`, `x-cos-grant-write: id="2"`, `x-cos-grant-read-acp: id="2"`, `x-cos-grant-write-acp: id="2"`,
	`x-cos-grant-full-control: id="2"`,
)

// checkPrivate requires that all objects have the ACL of the owner only.
func checkPrivate(t *testing.T, emu *cosemu.Server) {
	t.Helper()
	for _, o := range emu.Objects(bucket) {
		for name, values := range o.Header {
			if acl := name == "x-cos-acl" && values[0] != "private" && values[0] != "default"; acl || strings.HasPrefix(name, "x-cos-grant-") {
				t.Errorf("%s is stored with %s: %s", o.Key, name, values)
			}
		}
	}
}

// TestPresets_PublicACLDenied checks that only the preset acl allows public objects:
// through the sidecar, and by x-cos-acl with stolen credentials. Ordinary uploads
// succeed in both cases.
func TestPresets_PublicACLDenied(t *testing.T) {
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
			stolen := serveRoute(t, emu, words, []string{"dir/*"}, []string{"name/cos:*"})
			for _, w := range writeRequests {
				allowed := allowsWrite(actions, w.name)
				if allowed {
					for _, set := range []string{"", "x-cos-acl: private", "x-cos-acl: default"} {
						for name, at := range map[string]string{"sidecar": sidecar, "credentials": stolen} {
							if status, body := w.send(t, at, set); status/100 != 2 {
								t.Errorf("%s with the %s and %q: %d %s", w.name, name, set, status, body)
							}
							if w.name == "append" {
								removeObject(t, emu, "dir/append")
							}
						}
					}
				}
				before := emu.Stats().COSRequests
				sets := slices.Concat(accessSettings, []string{"acl: public-read"}[:count(w.form)])
				if !slices.Contains(actions, "name/cos:PutObjectTagging") {
					sets = append(sets, "x-cos-tagging: a=b")
				}
				for _, set := range sets {
					status, body := w.send(t, sidecar, set)
					if status != http.StatusForbidden || allowed && !strings.Contains(body, "AllowActions") {
						t.Errorf("%s with the sidecar and %q: %d %s, want 403 with the setting", w.name, set, status, body)
					}
				}
				if n := emu.Stats().COSRequests; n != before {
					t.Errorf("%s: %d rejected requests reached COS", w.name, n-before)
				}
				for _, set := range publicACLs {
					if status, body := w.send(t, stolen, set); status != http.StatusForbidden {
						t.Errorf("%s with the credentials and %q: %d %s, want 403", w.name, set, status, body)
					}
				}
			}
			checkPrivate(t, emu)
		})
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// allowsWrite reports whether actions allow an ordinary write.
func allowsWrite(actions []string, write string) bool {
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

// TestPresets_ACL checks that an upload may set the ACL with the preset acl.
func TestPresets_ACL(t *testing.T) {
	t.Parallel()
	words := []string{"write", "read", "acl"}
	actions, err := credcache.ExpandActions(words)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range writeRequests {
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
				return // there is no object yet
			}
			if o, _ := emu.Object(bucket, "dir/"+w.name); !strings.Contains(fmt.Sprint(o.Header), "x-cos-acl:[public-read]") {
				t.Errorf("stored with %v", o.Header)
			}
		})
	}
}

// TestPolicy_ListPrefixEncoding checks listings with both encodings of cos:prefix in
// policies, since a single document says that COS compares it percent-encoded. The
// credentials must work, and only for their prefix.
func TestPolicy_ListPrefixEncoding(t *testing.T) {
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
