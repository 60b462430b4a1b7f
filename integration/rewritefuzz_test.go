package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
	"cosproxy/proxy"
)

// FuzzRewrite sends any headers. The emulator, in strict signature mode, must accept
// the signature. Host, Authorization and the session token must be those of the
// sidecar. Headers with a meaning for COS must arrive unchanged, or the request does
// not leave.
func FuzzRewrite(f *testing.F) {
	seed := func(lines ...string) {
		for i, method := range []string{http.MethodPut, http.MethodGet} {
			var fields [6]string
			for j, line := range lines {
				fields[2*j], fields[2*j+1], _ = strings.Cut(line, ": ")
			}
			f.Add(method, fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], uint8(i))
		}
	}
	seed("Authorization: q-sign-algorithm=sha1&q-ak=client", "x-cos-security-token: client", "Cookie: a=b")
	seed("Connection: Authorization, X-Cos-Security-Token, Host", "authorization: Bearer a", "X-COS-SECURITY-TOKEN: a")
	seed("Connection: x-cos-acl", "x-cos-acl: public-read")
	seed("Connection: close, Content-Type", "Content-Type: text/plain")
	seed("Connection: x-a", "X-A: 1", "Connection: ,keep-alive,,range")
	seed("connection: Content-Length")
	seed("Keep-Alive: timeout=5", "TE: trailers", "Proxy-Foo: a")
	seed("x-cos-meta-a:  b\tc ", "X-Cos-Meta-A: second", "x-cos-meta-a: ")
	seed("x-cos-meta-%|'*: \xff\xe4%2F", "X-Cos-Meta-B: +&=;", "x_cos_acl: private")
	seed("Host: evil.example", "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example")
	seed("Transfer-Encoding: chunked", "Trailer: X-Cos-Acl", "Content-Length: 7")
	seed("Upgrade: h2c", "HTTP2-Settings: a", "Connection: Upgrade, HTTP2-Settings")
	seed("Expect: 100-continue", "Proxy-Authorization: Basic a", "Proxy-Connection: keep-alive")
	seed("Range: bytes=0-1", "If-Match: *", "If-None-Match: \"a\"")
	seed("Content-MD5: XUFAKrxLKna5cZ2REBfFkg==", "Cache-Control: no-cache", "Expires: 0")
	seed("Origin: http://localhost", "Referer: http://localhost/", "Sec-Fetch-Site: same-origin")
	seed("Pic-Operations: {}", "x-ci-process: a", "X-Ci-Security-Token: client")
	seed("x-cos-copy-source: "+bucketHost+"/in/old", "x-cos-metadata-directive: Replaced", "x-amz-copy-source: a")
	w := &fuzzSetup{}
	f.Cleanup(w.close)
	f.Fuzz(func(t *testing.T, method, name1, value1, name2, value2, name3, value3 string, form uint8) {
		fields := [][2]string{{name1, value1}, {name2, value2}, {name3, value3}}
		head, ok := headerLines(fields)
		if !ok || strings.ContainsAny(method, " \r\n") {
			return
		}
		w.changed = false // this test ignores stored objects
		w.reset(t)
		creds := addCredentials(t, w.emu, "everything", "")
		w.routes = []proxy.Route{{
			Bucket: bucket, Region: region, Endpoint: plainEndpoint, AllowActions: []string{"*"}, AllowPrefixes: []string{"*"}, Credentials: creds,
		}}
		target := []string{"/in/old", "http://" + bucketHost + "/in/old", "/in/old?acl", "/"}[form%4]
		body := "Content-Length: 5\r\n\r\nhello"
		if method == http.MethodGet || method == http.MethodHead {
			body = "Content-Length: 0\r\n\r\n"
		}
		wire := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s", method, target, head, body)
		arrived := w.send(t, []byte(wire), 4096)
		checkSigned(t, arrived)
		for _, a := range arrived {
			checkSignature(t, a, creds)
			checkForwarded(t, a, fields)
		}
		if t.Failed() {
			t.Logf("%q", wire)
		}
	})
}

// headerLines encodes the fields that have a name. ok is false if a field would be
// more than one line.
func headerLines(fields [][2]string) (head string, ok bool) {
	for _, field := range fields {
		if strings.ContainsAny(field[0], ":\r\n \t") || strings.ContainsAny(field[1], "\r\n") {
			return "", false
		}
		if field[0] != "" {
			head += field[0] + ": " + field[1] + "\r\n"
		}
	}
	return head, true
}

// removedHeaders are headers of a connection, and those with data of the client that
// COS must not get.
var removedHeaders = []string{
	"Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Proxy-Authenticate",
	"Cookie", "Forwarded", "X-Real-Ip", "X-Ci-Security-Token",
}

// checkSignature requires the signature of the sidecar, and no part of the client's
// signature.
func checkSignature(t testing.TB, a cosemu.Request, creds fixedCredentials) {
	t.Helper()
	if a.Host != bucketHost {
		t.Errorf("%s %s left for %q", a.Method, a.URI, a.Host)
	}
	if a.Action != "PostObject" {
		signature := a.Header["Authorization"]
		if len(signature) != 1 || !strings.HasPrefix(signature[0], "q-sign-algorithm=sha1&q-ak="+creds.creds.SecretID+"&") {
			t.Errorf("the signature is %q", signature)
		} else if list := strings.Split(strings.Split(signature[0], "&")[4], ";"); !slices.Contains(list, "x-cos-security-token") {
			t.Errorf("the token is not signed: %q", list)
		}
		if token := a.Header["X-Cos-Security-Token"]; !slices.Equal(token, []string{creds.creds.Token}) {
			t.Errorf("the token is %q", token)
		}
	}
	for name := range a.Header {
		if slices.Contains(removedHeaders, name) || strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Forwarded-") {
			t.Errorf("%s reached COS", name)
		}
	}
}

// checkForwarded requires that headers with a meaning for COS arrive as the client
// sent them: none is added, lost or changed.
func checkForwarded(t testing.TB, a cosemu.Request, fields [][2]string) {
	t.Helper()
	sent := map[string][]string{}
	for _, field := range fields {
		if name := http.CanonicalHeaderKey(field[0]); mustBeForwarded(name) {
			sent[name] = append(sent[name], strings.Trim(field[1], " \t"))
		}
	}
	for name, values := range a.Header {
		if mustBeForwarded(name) && !slices.Equal(values, sent[name]) {
			t.Errorf("%s arrived as %q, sent was %q", name, values, sent[name])
		}
	}
	for name, values := range sent {
		if a.Header[name] == nil && a.Action != "PostObject" {
			t.Errorf("%s: %q was lost", name, values)
		}
	}
}

func mustBeForwarded(name string) bool {
	switch name {
	case "X-Cos-Security-Token", "X-Ci-Security-Token":
		return false
	case "X-Cos-Copy-Source":
		return false // the sidecar rewrites the name of the source
	case "Content-Type", "Content-Md5", "Content-Encoding", "Content-Disposition", "Cache-Control", "Expires", "Range",
		"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Pic-Operations":
		return true
	}
	if strings.Contains(name, "_") && !strings.HasPrefix(name, "X-Cos-Meta-") {
		return false // it is not forwarded
	}
	return strings.HasPrefix(name, "X-Cos-") || strings.HasPrefix(name, "X-Ci-")
}
