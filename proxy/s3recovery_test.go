package proxy_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// s3Get is a request as AWS SDKs send it.
const s3Get = "/" + bucket + "/key?x-id=GetObject"

// refuseKey sends refusal while requests are signed with the first credentials.
func refuseKey(refusal string) func(*arrival) {
	return func(a *arrival) {
		if strings.Contains(a.Header.Get("Authorization"), "Credential=AKIDsentinel1/") {
			if a.Header.Get("Expect") == "" && a.readBody() != nil {
				return
			}
			a.respond(refusal)
			return
		}
		if a.readBody() == nil {
			a.respond(ok)
		}
	}
}

func TestS3_RejectedCredentials(t *testing.T) {
	for _, rejection := range rejections {
		for name, body := range map[string]string{"GET": "", "PUT": "test", "PUT of a large body": strings.Repeat("x", 1<<20)} {
			t.Run(rejection.name+", "+name, func(t *testing.T) {
				r := start(t, setup{handle: refuseKey(rejection.response)})
				rep := r.s3(t, name[:3], "/"+bucket+"/key", "x-amz-meta-a: 1\r\n", body)
				if rep.status != http.StatusOK {
					t.Fatalf("status %d: %s", rep.status, rep.body)
				}
				seen := r.upstream.seen()
				if len(seen) != 2 || seen[1].Header.Get("X-Amz-Meta-A") != "1" || string(seen[1].body) != body {
					t.Errorf("%d attempts", len(seen))
				}
				if got := r.creds.rejected(); !slices.Equal(got, []string{"AKIDsentinel1"}) {
					t.Errorf("reported as rejected: %q", got)
				}
			})
		}
	}
}

// A HEAD has no error document: the reason is found with a GET in the same dialect.
func TestS3_RejectedHead(t *testing.T) {
	r := start(t, setup{handle: func(a *arrival) {
		switch first := strings.Contains(a.Header.Get("Authorization"), "Credential=AKIDsentinel1/"); {
		case first && a.Method == http.MethodHead:
			a.respond("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n")
		case first:
			a.respond(rejections[0].response)
		default:
			a.respond(ok)
		}
	}})
	if rep := r.s3(t, "HEAD", "/"+bucket+"/key", "", ""); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.head)
	}
	if seen := r.upstream.seen(); len(seen) != 3 || !seen[1].isS3() || seen[1].Header.Get("Range") != "bytes=0-0" {
		t.Errorf("%d attempts", len(seen))
	}
}

func TestS3_SkewedClock(t *testing.T) {
	r := atHere(t, refuseFirst(1, dated(skewed, at(2*time.Hour))))
	for range 2 { // the second is right at once
		if rep := r.s3(t, "PUT", "/"+bucket+"/key", "", "test"); rep.status != http.StatusOK {
			t.Fatalf("status %d: %s", rep.status, rep.body)
		}
	}
	seen := r.upstream.seen()
	if len(seen) != 3 || len(r.creds.rejected()) > 0 {
		t.Fatalf("%d attempts; rejected %q", len(seen), r.creds.rejected())
	}
	for i, want := range []time.Time{here, here.Add(2 * time.Hour), here.Add(2 * time.Hour)} {
		if got := seen[i].Header.Get("X-Amz-Date"); got != amzDate(want) {
			t.Errorf("attempt %d is signed at %s, want %s", i, got, amzDate(want))
		}
	}
}

func TestS3_TransientError(t *testing.T) {
	r := start(t, setup{handle: refuseFirst(2, errorResponse(503, "SlowDown", "slow down"))})
	body := awsChunked("", "test")
	if rep := r.s3(t, "PUT", "/"+bucket+"/key", unsignedChunks+"x-amz-decoded-content-length: 4\r\n", body+"\r\n"); rep.status != http.StatusOK {
		t.Fatalf("status %d: %s", rep.status, rep.body)
	}
	seen := r.upstream.seen()
	if len(seen) != 3 || string(seen[2].body) != "test" {
		t.Errorf("%d attempts", len(seen))
	}
}

// A download is resumed and its checksum verified, also with the x-id of AWS SDKs.
func TestS3_ResumedDownload(t *testing.T) {
	r := start(t, setup{handle: inTurn(cutAfter(10), drop, rest("e", object))})
	rep := r.s3(t, "GET", s3Get, "If-None-Match: x\r\nx-amz-server-side-encryption-customer-algorithm: AES256\r\nx-amz-content-sha256: "+emptyHash+"\r\n", "")
	if rep.body != object || rep.err != nil {
		t.Errorf("got %q (%v)", rep.body, rep.err)
	}
	seen := r.upstream.seen()
	last := seen[len(seen)-1].wire()
	if last.Get("Range") != "bytes=10-35" || last.Get("If-Match") != `"e"` || last["If-None-Match"] != nil || last.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "AES256" {
		t.Errorf("the rest was asked for with %q", last)
	}
}

func TestS3_DamagedDownload(t *testing.T) {
	r := start(t, setup{handle: func(a *arrival) {
		a.respond("HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: 1\r\nContent-Length: 4\r\n\r\ntest")
	}})
	if rep := r.s3(t, "GET", s3Get, "", ""); rep.status == http.StatusOK && rep.err == nil {
		t.Errorf("got %q", rep.body)
	}
}

func TestS3_DamagedUpload(t *testing.T) {
	r := start(t, setup{handle: respondWith("HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: 1\r\nContent-Length: 0\r\n\r\n")})
	rep := r.s3(t, "PUT", "/"+bucket+"/key", unsignedChunks+"x-amz-decoded-content-length: 4\r\n", awsChunked("", "test")+"\r\n")
	if doc := rep.cosError(t); rep.status != http.StatusBadGateway || doc.Code != "InternalError" {
		t.Errorf("status %d: %s", rep.status, rep.body)
	}
}

// The spare host gets a signature of its own name.
func TestS3_SpareDomain(t *testing.T) {
	r, spare := startSpare(t, true, nil, nil, nil)
	for name, body := range map[string]string{"GET": "", "PUT": "test"} {
		if rep := r.s3(t, name, "/"+bucket+"/key", "", body); rep.status != http.StatusOK {
			t.Fatalf("status %d: %s", rep.status, rep.body)
		}
	}
	seen := spare.seen()
	if len(seen) != 2 {
		t.Fatalf("%d requests reached the spare host", len(seen))
	}
	for _, a := range seen { // the harness has verified the signature with this Host
		if a.Host != spareCOS || !a.isS3() {
			t.Errorf("arrived as\n%s", a.head)
		}
	}
}

// An error of COS that repeats the request does not reveal the token and the signature.
func TestS3_SecretsMasked(t *testing.T) {
	k := newCredentials(1)
	signature := func(a *arrival) string {
		_, s, _ := strings.Cut(a.wire().Get("Authorization"), "Signature=")
		return s
	}
	echo := func(a *arrival) string {
		canonical := "GET\n/key\n\nhost:h\nx-amz-security-token:" + k.list[0].Token + "\n"
		body := "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message><SignatureProvided>" + signature(a) + "</SignatureProvided><CanonicalRequest>" +
			canonical + "</CanonicalRequest><CanonicalRequestBytes>" + spacedHex(canonical) + "</CanonicalRequestBytes><RequestId>id</RequestId></Error>"
		return "HTTP/1.1 403 Forbidden\r\nx-amz-request-id: id\r\nX-Echo: " + a.wire().Get("Authorization") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	r := start(t, setup{creds: k, handle: func(a *arrival) { a.respond(echo(a)) }})
	rep := r.s3(t, "GET", s3Get, "", "")
	a := r.upstream.only(t)
	if rep.status != http.StatusForbidden || len(signature(a)) != 64 {
		t.Fatalf("status %d\n%s", rep.status, a.head)
	}
	got := rep.head + rep.body
	for _, secret := range []string{k.list[0].Token, signature(a), spacedHex(k.list[0].Token)} {
		if strings.Contains(got, secret) {
			t.Errorf("the client learns %s:\n%s", secret, got)
		}
	}
	if !strings.Contains(rep.body, "x-amz-security-token:*") || !strings.Contains(rep.body, "<CanonicalRequestBytes>47 45 54 0a") {
		t.Errorf("more than the secrets has changed:\n%s", rep.body)
	}
	if rep.header.Get("X-Amz-Request-Id") != "id" {
		t.Error(rep.head)
	}
	if log := r.drained(t); !strings.Contains(log, "cos.request_id=id") && !strings.Contains(log, "request_id=id") {
		t.Errorf("the log lacks the ID of the request: %s", log)
	}
}

// spacedHex is text as S3 shows bytes: "47 45 54".
func spacedHex(text string) string {
	var all []string
	for i := range len(text) {
		all = append(all, hex.EncodeToString([]byte{text[i]}))
	}
	return strings.Join(all, " ")
}
