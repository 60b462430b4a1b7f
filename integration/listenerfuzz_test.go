package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"cosproxy/credcache"
	"cosproxy/integration/cosemu"
	"cosproxy/proxy"
	"cosproxy/signer"
)

const (
	otherBucket = "otherbucket-1250000000"
	bucketHost  = bucket + ".cos." + region + ".myqcloud.com"
	plainCOS    = "http://{bucket}.cos.{region}.myqcloud.com" // the emulator has no TLS
)

// aKey makes the emulator accept a key, and is where the sidecar has it from.
func aKey(t testing.TB, emu *cosemu.Server, name, policy string) oneKey {
	t.Helper()
	k := signer.Credentials{SecretID: "AKID" + name, SecretKey: "secret-of-" + name, Token: "token-of-" + name}
	if err := emu.AddCredentials(cosemu.Credentials{SecretID: k.SecretID, SecretKey: k.SecretKey, Token: k.Token, Policy: policy}); err != nil {
		t.Fatal(err)
	}
	return oneKey{k}
}

// heldRoute is a route whose key may do what the route allows and no more, so that
// what the sidecar lets pass against its rules is refused by the emulator.
func heldRoute(t testing.TB, emu *cosemu.Server, r proxy.Route, words ...string) proxy.Route {
	t.Helper()
	policy, err := credcache.Scope{Bucket: r.Bucket, Region: region, AllowPrefixes: r.AllowPrefixes, AllowActions: words}.Policy()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	if r.AllowActions, err = credcache.ExpandActions(words); err != nil {
		t.Fatal(err)
	}
	r.Region, r.Endpoint, r.Credentials = region, plainCOS, aKey(t, emu, r.Name, string(text))
	return r
}

// refusedForAccess are the codes with which COS says that a request is not signed,
// or not allowed to the key that has signed it.
var refusedForAccess = []string{
	"AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "RequestTimeTooSkewed", "InvalidURI",
}

// checkSigned wants what has reached COS to be valid and allowed there, but for what
// tries a key.
func checkSigned(t testing.TB, arrived []cosemu.Request) {
	t.Helper()
	for i, a := range arrived {
		if slices.Contains(refusedForAccess, a.Code) && !isProbe(arrived, i) {
			t.Errorf("%s %s (%s) with %v was refused by COS: %d %s", a.Method, a.URI, a.Action, a.Header, a.Status, a.Code)
		}
		if a.SecretID == "" && a.Action != "PostObject" || len(a.Header["Authorization"]) > 1 {
			t.Errorf("%s %s left unsigned: %v", a.Method, a.URI, a.Header)
		}
	}
}

// isProbe reports whether a request tries the key of another: the GET of one byte that
// finds out why COS refused a HEAD, or the question in front of a large form.
func isProbe(arrived []cosemu.Request, i int) bool {
	a := arrived[i]
	ofHead := i > 0 && arrived[i-1].Method == http.MethodHead && arrived[i-1].Status >= 400 &&
		a.URI == arrived[i-1].URI && a.Header.Get("Range") == "bytes=0-0"
	ofForm := a.URI == "/?location" && i+1 < len(arrived) && arrived[i+1].Method == http.MethodPost && arrived[i+1].URI == "/"
	return a.Method == http.MethodGet && (ofHead || ofForm)
}

// hidden is in objects that no route leads to.
const hidden = "kept from everybody"

// laidOut are objects that are there before, in both buckets. Only those below in/
// and up/ may be read and may change.
var laidOut = map[string]string{"in/old": "old", "up/old": "old", "secret/old": hidden, "input": hidden, "a": hidden}

// FuzzListener sends any bytes to the sidecar's listener, with the emulator behind
// it. Whatever of them reaches COS is a request that RFC 9112 finds in them, signed
// and allowed to the key of its route; what is stored is what was sent. No object
// outside the routes is read or changed, not even if the keys would allow it.
func FuzzListener(f *testing.F) {
	for _, seed := range streams {
		f.Add([]byte(seed), uint8(255), false)
		f.Add([]byte(seed), uint8(1), true)
	}
	w := &world{}
	f.Cleanup(w.end)
	f.Fuzz(func(t *testing.T, wire []byte, piece uint8, wide bool) {
		w.renew(t)
		w.routes = w.held
		if wide {
			w.routes = w.wide
		}
		arrived := w.hear(t, wire, int(piece))
		checkSigned(t, arrived)
		said := readMessages(wire)
		checkSaid(t, said, arrived)
		if strings.Contains(w.answer, hidden) {
			t.Errorf("got what no route leads to: %q", w.answer)
		}
		for _, name := range []string{bucket, otherBucket} {
			checkStored(t, w.emu.Objects(name), said, arrived)
		}
		if t.Failed() {
			t.Logf("the stream was\n%q", wire)
		}
	})
}

// world is an emulator with two buckets, and routes that lead there.
type world struct {
	emu        *cosemu.Server
	held, wide []proxy.Route // with keys that may do what the route allows, or everything
	routes     []proxy.Route // those in use
	answer     string        // to what was heard last
	changed    bool
}

// renew sees to it that the world is as it was first.
func (w *world) renew(t testing.TB) {
	t.Helper()
	if w.emu != nil && !w.changed {
		return
	}
	w.end()
	emu, err := cosemu.Start(cosemu.Options{Buckets: []string{bucket, otherBucket}, StrictSignature: true})
	if err != nil {
		t.Fatal(err)
	}
	w.emu = emu
	everything := aKey(t, emu, "everything", "")
	for _, name := range []string{bucket, otherBucket} {
		w.routes = []proxy.Route{{
			Bucket: name, Region: region, Endpoint: plainCOS, AllowActions: []string{"*"}, AllowPrefixes: []string{"*"}, Credentials: everything,
		}}
		wire := ""
		for key, body := range laidOut {
			wire += fmt.Sprintf("PUT /%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body)
		}
		w.hear(t, []byte(wire), 4096)
	}
	w.changed = false
	w.held = []proxy.Route{
		heldRoute(t, emu, proxy.Route{Name: "in", Bucket: bucket, AllowPrefixes: []string{"in/*"}}, "read", "write", "list", "delete"),
		heldRoute(t, emu, proxy.Route{Name: "up", Bucket: bucket, AllowPrefixes: []string{"up/*"}, PathPrefix: "/up/", ObjectPrefix: "up/"}, "upload"),
		heldRoute(t, emu, proxy.Route{Name: "domain", Bucket: otherBucket, AllowPrefixes: []string{"up/*"}, Hosts: []string{"files.example"}}, "read", "upload"),
	}
	w.wide = slices.Clone(w.held)
	for i := range w.wide {
		w.wide[i].Credentials = everything
	}
}

func (w *world) end() {
	if w.emu != nil {
		_ = w.emu.Close()
	}
}

// hear lets the sidecar hear what a client says, and returns what of it has reached
// COS.
func (w *world) hear(t testing.TB, wire []byte, piece int) []cosemu.Request {
	t.Helper()
	before := w.emu.Stats().COSRequests
	toCOS := newLine(w.emu)
	w.answer = converse(t, proxy.Options{Upstream: toCOS.upstream(), Routes: w.routes}, wire, piece)
	toCOS.open.Wait()
	all := w.emu.Requests()
	arrived := all[len(all)-min(len(all), w.emu.Stats().COSRequests-before):]
	w.changed = w.changed || slices.ContainsFunc(arrived, func(a cosemu.Request) bool {
		return a.Status < 400 && a.Method != http.MethodGet && a.Method != http.MethodHead
	})
	return arrived
}

// checkSaid wants each arrival to be one of the messages, none to be two, and all to
// be for keys inside the routes.
func checkSaid(t testing.TB, said []message, arrived []cosemu.Request) {
	t.Helper()
	left := slices.Clone(said)
	for i, a := range arrived {
		if isProbe(arrived, i) {
			continue
		}
		key := keyOf(a.URI)
		plain := path.Clean("/"+strings.ReplaceAll(key, `\`, "/")) + "/" // however COS may read it
		if key != "" && !strings.HasPrefix(plain, "/in/") && !strings.HasPrefix(plain, "/up/") {
			t.Errorf("%s %s is outside the routes", a.Method, a.URI)
		}
		j := slices.IndexFunc(left, func(m message) bool { return m.method == a.Method && m.names(key) })
		if j < 0 {
			t.Errorf("%s %s for %s, which nobody has asked for", a.Method, a.URI, a.Host)
			continue
		}
		if strings.HasPrefix(a.Host, otherBucket) && !left[j].mentions(otherBucket, "files.example") {
			t.Errorf("%s %s for %s, which is another bucket than was asked for", a.Method, a.URI, a.Host)
		}
		left = slices.Delete(left, j, j+1)
	}
}

// mentions reports whether one of the words stands in the target or the Host of m.
func (m message) mentions(words ...string) bool {
	text := strings.ToLower(m.target + " " + strings.Join(m.header["host"], " "))
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// names reports whether m is for the key: by its path, or behind the name of the
// bucket.
func (m message) names(key string) bool {
	own := keyOf(m.target)
	if own == key {
		return true
	}
	for _, name := range []string{bucket, otherBucket} {
		if rest, ok := strings.CutPrefix(own, name); ok && strings.TrimPrefix(rest, "/") == key {
			return true
		}
	}
	return false
}

// checkStored wants what was there outside the routes to be there still, and
// everything else to be inside and the body of a message, or of what was there
// where there was a copy.
func checkStored(t testing.TB, objects []cosemu.Object, said []message, arrived []cosemu.Request) {
	t.Helper()
	copied := slices.ContainsFunc(arrived, func(a cosemu.Request) bool { return a.Header["X-Cos-Copy-Source"] != nil })
	composed := slices.ContainsFunc(arrived, func(a cosemu.Request) bool { return slices.Contains(composers, a.Action) })
	untouched := 0
	for _, o := range objects {
		body := contentOf(t, o)
		inside := strings.HasPrefix(o.Key, "in/") || strings.HasPrefix(o.Key, "up/")
		if old, was := laidOut[o.Key]; was && body == old {
			if !inside {
				untouched++
			}
			continue
		}
		sent := slices.ContainsFunc(said, func(m message) bool {
			return m.whole && m.body == body && m.method == http.MethodPut && (m.names(o.Key) || copied)
		})
		switch {
		case !inside:
			t.Errorf("%q was written", o.Key)
		case !sent && !composed && (!copied || body != "old"):
			t.Errorf("%q is %q, which nobody has sent", o.Key, body)
		}
	}
	if untouched != 3 {
		t.Errorf("%d of 3 objects outside the routes are as they were", untouched)
	}
}

// composers are the actions after which an object has not the body of one message.
var composers = []string{"AppendObject", "CompleteMultipartUpload", "PostObject"}

func contentOf(t testing.TB, o cosemu.Object) string {
	t.Helper()
	r, err := o.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
