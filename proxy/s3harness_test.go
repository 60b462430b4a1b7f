package proxy_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	cos "github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/proxy"
	"cosproxy/signer"
)

const (
	// dummySignature is the Authorization of an S3 client with a dummy key.
	dummySignature = "Authorization: AWS4-HMAC-SHA256 Credential=dummy/20261129/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00\r\n"
	// emptyHash is the x-amz-content-sha256 of an empty body.
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// verifyS3 checks the signature of the bytes on the wire, and that it covers what it must.
func (u *upstream) verifyS3(a *arrival, auth string) {
	wire := a.wire()
	i := slices.IndexFunc(u.creds.list, func(c signer.Credentials) bool { return strings.Contains(auth, "Credential="+c.SecretID+"/") })
	if i < 0 {
		u.t.Errorf("signed with unknown credentials:\n%s", a.head)
		return
	}
	c := u.creds.list[i]
	if got := wire["X-Amz-Security-Token"]; !slices.Equal(got, []string{c.Token}) {
		u.t.Errorf("the token header is %q, not that of the credentials that signed", got)
	}
	_, rest, _ := strings.Cut(auth, "SignedHeaders=")
	list, _, _ := strings.Cut(rest, ",")
	signed := strings.Split(list, ";")
	for name := range wire {
		lower := strings.ToLower(name)
		if (strings.HasPrefix(lower, "x-amz-") || lower == "content-type" || lower == "content-md5" || lower == "host") && !slices.Contains(signed, lower) {
			u.t.Errorf("%s is not signed:\n%s", name, a.head)
		}
		if strings.HasPrefix(lower, "x-cos-") {
			u.t.Errorf("%s has an AWS signature:\n%s", name, a.head)
		}
	}
	if want := u.expectedS3(a, c, signed); want == "" || !strings.HasSuffix(auth, ", Signature="+want) {
		u.t.Errorf("signature of\n%s\nwant %s", a.head, want)
	}
}

// expectedS3 returns the signature of the bytes on the wire (Amazon S3 API Reference,
// "Authenticating Requests: Using the Authorization Header").
func (u *upstream) expectedS3(a *arrival, c signer.Credentials, signed []string) string {
	wire := a.wire()
	path, query, _ := strings.Cut(strings.TrimPrefix(a.target(), "http://"+a.Host), "?") // as an HTTP proxy gets it
	var pairs []string
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" {
			pairs = append(pairs, escapedAgain(u.t, name)+"="+escapedAgain(u.t, value))
		}
	}
	slices.Sort(pairs)
	canonical := a.Method + "\n" + path + "\n" + strings.Join(pairs, "&") + "\n"
	for _, name := range signed {
		canonical += name + ":" + strings.Join(wire.Values(name), ",") + "\n"
	}
	canonical += "\n" + strings.Join(signed, ";") + "\n" + wire.Get("X-Amz-Content-Sha256")
	date := wire.Get("X-Amz-Date")
	if _, err := time.Parse("20060102T150405Z", date); err != nil || !slices.IsSorted(signed) {
		u.t.Errorf("X-Amz-Date %q, signed headers %q", date, signed)
		return ""
	}
	scope := []string{date[:8], region, "s3", "aws4_request"}
	key := []byte("AWS4" + c.SecretKey)
	for _, part := range append(slices.Clone(scope), "AWS4-HMAC-SHA256\n"+date+"\n"+strings.Join(scope, "/")+"\n"+sha256Of(canonical)) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// escapedAgain is a part of a query in its signed form.
func escapedAgain(t testing.TB, raw string) string {
	decoded, err := url.QueryUnescape(raw)
	if err != nil {
		t.Error(err)
	}
	return strings.ReplaceAll(url.QueryEscape(decoded), "+", "%20")
}

// s3 sends a request with a dummy AWS signature. header are further lines, each with its
// line end.
func (r *rig) s3(t testing.TB, method, target, header, body string) reply {
	t.Helper()
	if body != "" && !strings.Contains(header, "Content-Length:") && !strings.Contains(header, "Transfer-Encoding:") {
		header += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return r.exchange(t, method+" "+target+" HTTP/1.1\r\n"+dummySignature+header+"\r\n"+body)
}

// refusedS3 checks a proxy error in the dialect of S3, and that no request reached the
// upstream.
func (r *rig) refusedS3(t testing.TB, rep reply, status int, code string) cos.ErrorResponse {
	t.Helper()
	doc := r.refused(t, rep, status, code)
	if rep.header.Get("X-Amz-Request-Id") == "" || rep.header["X-Cos-Request-Id"] != nil {
		t.Errorf("not an error of S3:\n%s", rep.head)
	}
	return doc
}

// refusedCOS is refusedS3 for the dialect of COS.
func (r *rig) refusedCOS(t testing.TB, rep reply, status int, code string) cos.ErrorResponse {
	t.Helper()
	doc := r.refused(t, rep, status, code)
	if rep.header.Get("X-Cos-Request-Id") == "" || rep.header["X-Amz-Request-Id"] != nil {
		t.Errorf("not an error of COS:\n%s", rep.head)
	}
	return doc
}

// isS3 reports whether the request on the wire has an AWS signature.
func (a *arrival) isS3() bool {
	return strings.HasPrefix(a.wire().Get("Authorization"), "AWS4-")
}

// allowOnly lets the route allow these actions of COS, and the object keys below dir/.
func allowOnly(actions ...string) func(*proxy.Options) {
	return func(o *proxy.Options) {
		o.Routes[0].AllowActions = nil
		for _, a := range actions {
			o.Routes[0].AllowActions = append(o.Routes[0].AllowActions, "name/cos:"+a)
		}
		o.Routes[0].AllowPrefixes = []string{"dir/*"}
	}
}

// incomplete reads the body of an arrival and reports whether it broke off.
func (a *arrival) incomplete() bool {
	_, err := io.Copy(io.Discard, a.Body)
	return err != nil
}
