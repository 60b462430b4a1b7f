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
	otherBucket   = "otherbucket-1250000000"
	bucketHost    = bucket + ".cos." + region + ".myqcloud.com"
	plainEndpoint = "http://{bucket}.cos.{region}.myqcloud.com" // the emulator runs without TLS
)

// addCredentials adds credentials to the emulator and returns them as the source of a
// route.
func addCredentials(t testing.TB, emu *cosemu.Server, name, policy string) fixedCredentials {
	t.Helper()
	k := signer.Credentials{SecretID: "AKID" + name, SecretKey: "secret-of-" + name, Token: "token-of-" + name}
	if err := emu.AddCredentials(cosemu.Credentials{SecretID: k.SecretID, SecretKey: k.SecretKey, Token: k.Token, Policy: policy}); err != nil {
		t.Fatal(err)
	}
	return fixedCredentials{k}
}

// restrictedRoute returns a route whose credentials allow only what the route allows,
// so that the emulator rejects requests that the sidecar should have rejected.
func restrictedRoute(t testing.TB, emu *cosemu.Server, r proxy.Route, words ...string) proxy.Route {
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
	r.Region, r.Endpoint, r.Credentials = region, plainEndpoint, addCredentials(t, emu, r.Name, string(text))
	return r
}

// accessErrorCodes are the error codes of COS for a request that is not signed, or not
// allowed.
var accessErrorCodes = []string{
	"AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "RequestTimeTooSkewed", "InvalidURI",
}

// checkSigned requires that all requests at COS are validly signed and allowed, except
// probes of credentials.
func checkSigned(t testing.TB, arrived []cosemu.Request) {
	t.Helper()
	for i, a := range arrived {
		if slices.Contains(accessErrorCodes, a.Code) && !isCredentialProbe(arrived, i) {
			t.Errorf("%s %s (%s) with %v was rejected by COS: %d %s", a.Method, a.URI, a.Action, a.Header, a.Status, a.Code)
		}
		if a.SecretID == "" && a.Action != "PostObject" || len(a.Header["Authorization"]) > 1 {
			t.Errorf("%s %s left unsigned: %v", a.Method, a.URI, a.Header)
		}
	}
}

// isCredentialProbe reports whether a request tests the credentials of another one:
// the GET of one byte after a rejected HEAD, or the GET before a large form.
func isCredentialProbe(arrived []cosemu.Request, i int) bool {
	a := arrived[i]
	ofHead := i > 0 && arrived[i-1].Method == http.MethodHead && arrived[i-1].Status >= 400 &&
		a.URI == arrived[i-1].URI && a.Header.Get("Range") == "bytes=0-0"
	ofForm := a.URI == "/?location" && i+1 < len(arrived) && arrived[i+1].Method == http.MethodPost && arrived[i+1].URI == "/"
	return a.Method == http.MethodGet && (ofHead || ofForm)
}

// secretContent is the content of objects outside the routes.
const secretContent = "kept from everybody"

// initialObjects are in both buckets from the start. Only those under in/ and up/ may
// be read or changed.
var initialObjects = map[string]string{"in/old": "old", "up/old": "old", "secret/old": secretContent, "input": secretContent, "a": secretContent}

// FuzzListener sends arbitrary bytes to the sidecar's listener, with the emulator as
// COS. Every request that reaches COS must be a request in these bytes by RFC 9112,
// signed and allowed to the credentials of its route; stored bytes must be the sent
// ones. No object outside the routes may be read or changed, even if the credentials
// allow it.
func FuzzListener(f *testing.F) {
	for _, seed := range clientStreams {
		f.Add([]byte(seed), uint8(255), false)
		f.Add([]byte(seed), uint8(1), true)
	}
	w := &fuzzSetup{}
	f.Cleanup(w.close)
	f.Fuzz(func(t *testing.T, wire []byte, piece uint8, unrestricted bool) {
		w.reset(t)
		w.routes = w.restricted
		if unrestricted {
			w.routes = w.unrestricted
		}
		arrived := w.send(t, wire, int(piece))
		checkSigned(t, arrived)
		sent := readMessages(wire)
		checkArrived(t, sent, arrived)
		if strings.Contains(w.response, secretContent) {
			t.Errorf("the response contains an object outside the routes: %q", w.response)
		}
		for _, name := range []string{bucket, otherBucket} {
			checkStored(t, w.emu.Objects(name), sent, arrived)
		}
		if t.Failed() {
			t.Logf("the stream was\n%q", wire)
		}
	})
}

// fuzzSetup is an emulator with two buckets, and routes to them.
type fuzzSetup struct {
	emu                      *cosemu.Server
	restricted, unrestricted []proxy.Route // credentials allow what the route allows, or everything
	routes                   []proxy.Route // the routes in use
	response                 string        // to the last call of send
	changed                  bool
}

// reset restores the initial state.
func (w *fuzzSetup) reset(t testing.TB) {
	t.Helper()
	if w.emu != nil && !w.changed {
		return
	}
	w.close()
	emu, err := cosemu.Start(cosemu.Options{Buckets: []string{bucket, otherBucket}, StrictSignature: true})
	if err != nil {
		t.Fatal(err)
	}
	w.emu = emu
	everything := addCredentials(t, emu, "everything", "")
	for _, name := range []string{bucket, otherBucket} {
		w.routes = []proxy.Route{{
			Bucket: name, Region: region, Endpoint: plainEndpoint, AllowActions: []string{"*"}, AllowPrefixes: []string{"*"}, Credentials: everything,
		}}
		wire := ""
		for key, body := range initialObjects {
			wire += fmt.Sprintf("PUT /%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body)
		}
		w.send(t, []byte(wire), 4096)
	}
	w.changed = false
	w.restricted = []proxy.Route{
		restrictedRoute(t, emu, proxy.Route{Name: "in", Bucket: bucket, AllowPrefixes: []string{"in/*"}}, "read", "write", "list", "delete"),
		restrictedRoute(t, emu, proxy.Route{Name: "up", Bucket: bucket, AllowPrefixes: []string{"up/*"}, PathPrefix: "/up/", ObjectPrefix: "up/"}, "upload"),
		restrictedRoute(t, emu, proxy.Route{Name: "domain", Bucket: otherBucket, AllowPrefixes: []string{"up/*"}, Hosts: []string{"files.example"}}, "read", "upload"),
	}
	w.unrestricted = slices.Clone(w.restricted)
	for i := range w.unrestricted {
		w.unrestricted[i].Credentials = everything
	}
}

func (w *fuzzSetup) close() {
	if w.emu != nil {
		_ = w.emu.Close()
	}
}

// send sends a client's bytes to the sidecar and returns the requests that reached
// COS.
func (w *fuzzSetup) send(t testing.TB, wire []byte, piece int) []cosemu.Request {
	t.Helper()
	before := w.emu.Stats().COSRequests
	toCOS := newUpstreamConns(w.emu)
	w.response = serveConnection(t, proxy.Options{Upstream: toCOS.upstream(), Routes: w.routes}, wire, piece)
	toCOS.open.Wait()
	all := w.emu.Requests()
	arrived := all[len(all)-min(len(all), w.emu.Stats().COSRequests-before):]
	w.changed = w.changed || slices.ContainsFunc(arrived, func(a cosemu.Request) bool {
		return a.Status < 400 && a.Method != http.MethodGet && a.Method != http.MethodHead
	})
	return arrived
}

// checkArrived requires that each request at COS corresponds to one message of the
// client, and that its object key is inside the routes.
func checkArrived(t testing.TB, sent []message, arrived []cosemu.Request) {
	t.Helper()
	left := slices.Clone(sent)
	for i, a := range arrived {
		if isCredentialProbe(arrived, i) {
			continue
		}
		key := keyOf(a.URI)
		plain := path.Clean("/"+strings.ReplaceAll(key, `\`, "/")) + "/" // for any reading by COS
		if key != "" && !strings.HasPrefix(plain, "/in/") && !strings.HasPrefix(plain, "/up/") {
			t.Errorf("%s %s is outside the routes", a.Method, a.URI)
		}
		j := slices.IndexFunc(left, func(m message) bool { return m.method == a.Method && m.hasKey(key) })
		if j < 0 {
			t.Errorf("%s %s for %s was not sent by the client", a.Method, a.URI, a.Host)
			continue
		}
		if strings.HasPrefix(a.Host, otherBucket) && !left[j].namesHost(otherBucket, "files.example") {
			t.Errorf("%s %s for %s reached another bucket than requested", a.Method, a.URI, a.Host)
		}
		left = slices.Delete(left, j, j+1)
	}
}

// namesHost reports whether the target or the Host of m contains one of the words.
func (m message) namesHost(words ...string) bool {
	text := strings.ToLower(m.target + " " + strings.Join(m.header["host"], " "))
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// hasKey reports whether m is for the object key: by its path, or after the name of
// the bucket.
func (m message) hasKey(key string) bool {
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

// checkStored requires that objects outside the routes are unchanged, and that all
// others contain the body of a message or, after a copy, of an initial object.
func checkStored(t testing.TB, objects []cosemu.Object, sent []message, arrived []cosemu.Request) {
	t.Helper()
	copied := slices.ContainsFunc(arrived, func(a cosemu.Request) bool { return a.Header["X-Cos-Copy-Source"] != nil })
	composed := slices.ContainsFunc(arrived, func(a cosemu.Request) bool { return slices.Contains(combiningActions, a.Action) })
	untouched := 0
	for _, o := range objects {
		body := contentOf(t, o)
		inside := strings.HasPrefix(o.Key, "in/") || strings.HasPrefix(o.Key, "up/")
		if old, was := initialObjects[o.Key]; was && body == old {
			if !inside {
				untouched++
			}
			continue
		}
		found := slices.ContainsFunc(sent, func(m message) bool {
			return m.complete && m.body == body && m.method == http.MethodPut && (m.hasKey(o.Key) || copied)
		})
		switch {
		case !inside:
			t.Errorf("%q was written", o.Key)
		case !found && !composed && (!copied || body != "old"):
			t.Errorf("%q is %q, which the client did not send", o.Key, body)
		}
	}
	if untouched != 3 {
		t.Errorf("%d of 3 objects outside the routes are unchanged", untouched)
	}
}

// combiningActions are the actions that create objects from more than the body of one
// message.
var combiningActions = []string{"AppendObject", "CompleteMultipartUpload", "PostObject"}

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
