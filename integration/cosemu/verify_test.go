package cosemu_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func TestVerify_Errors(t *testing.T) {
	now := time.Now()
	within := func(r *http.Request, creds clientCredentials, window cos.AuthTime) {
		r.Header.Del("Authorization")
		cos.AddAuthorizationHeader(creds.id, creds.secretKey, creds.token, r, &window)
	}
	sign := func(r *http.Request, creds clientCredentials, from, to time.Time) {
		within(r, creds, cos.AuthTime{SignStartTime: from, SignEndTime: to, KeyStartTime: from, KeyEndTime: to})
	}
	valid := func(r *http.Request, creds clientCredentials) {
		sign(r, creds, now.Add(-time.Minute), now.Add(time.Hour))
	}
	tests := []struct {
		name   string
		change func(r *http.Request, creds clientCredentials)
		status int
		code   string
	}{
		{"nothing wrong", func(*http.Request, clientCredentials) {}, 404, "NoSuchKey"},
		{"unsigned", func(r *http.Request, _ clientCredentials) { r.Header.Del("Authorization") }, 403, "AccessDenied"},
		{"other scheme", func(r *http.Request, _ clientCredentials) {
			r.Header.Set("Authorization", "Bearer x")
		}, 403, "AccessDenied"},
		{"signatures of two dialects", func(r *http.Request, _ clientCredentials) {
			r.Header.Add("Authorization", "AWS4-HMAC-SHA256 Credential=x")
		}, 400, "InvalidArgument"},
		{"headers of COS with an AWS signature", func(r *http.Request, _ clientCredentials) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x")
		}, 400, "InvalidArgument"},
		{"AWS signature version 2", func(r *http.Request, _ clientCredentials) {
			r.Header.Set("Authorization", "AWS x:y")
		}, 501, "NotImplemented"},
		{"two signatures", func(r *http.Request, _ clientCredentials) {
			r.Header.Add("Authorization", r.Header.Get("Authorization"))
		}, 403, "AccessDenied"},
		{"window over", func(r *http.Request, creds clientCredentials) {
			sign(r, creds, now.Add(-2*time.Hour), now.Add(-time.Second))
		}, 403, "AccessDenied"},
		{"window far ahead", func(r *http.Request, creds clientCredentials) {
			sign(r, creds, now.Add(16*time.Minute), now.Add(time.Hour))
		}, 403, "RequestTimeTooSkewed"},
		{"window a little ahead", func(r *http.Request, creds clientCredentials) {
			sign(r, creds, now.Add(14*time.Minute), now.Add(time.Hour))
		}, 404, "NoSuchKey"},
		{"q-sign-time alone over", func(r *http.Request, creds clientCredentials) {
			within(r, creds, cos.AuthTime{SignStartTime: now.Add(-time.Hour), SignEndTime: now, KeyStartTime: now, KeyEndTime: now.Add(time.Hour)})
		}, 403, "AccessDenied"},
		{"q-key-time alone over", func(r *http.Request, creds clientCredentials) {
			within(r, creds, cos.AuthTime{SignStartTime: now, SignEndTime: now.Add(time.Hour), KeyStartTime: now.Add(-time.Hour), KeyEndTime: now})
		}, 403, "AccessDenied"},
		{"window backwards", func(r *http.Request, creds clientCredentials) { sign(r, creds, now.Add(time.Hour), now) }, 403, "AccessDenied"},
		{"unknown SecretId", func(r *http.Request, creds clientCredentials) { creds.id += "x"; valid(r, creds) }, 403, "InvalidAccessKeyId"},
		{"wrong secret", func(r *http.Request, creds clientCredentials) { creds.secretKey += "x"; valid(r, creds) }, 403, "SignatureDoesNotMatch"},
		{"wrong token", func(r *http.Request, creds clientCredentials) { creds.token += "x"; valid(r, creds) }, 403, "AccessDenied"},
		{"no token", func(r *http.Request, creds clientCredentials) {
			creds.token = ""
			r.Header.Del("x-cos-security-token")
			valid(r, creds)
		}, 403, "AccessDenied"},
		{"its token twice", func(r *http.Request, creds clientCredentials) {
			r.Header.Add("x-cos-security-token", creds.token)
			creds.token = ""
			valid(r, creds)
		}, 403, "AccessDenied"},
		{"signed by hand", func(r *http.Request, creds clientCredentials) {
			manualSignature{"a;b", "a=1&b=2", "host;x-cos-meta-a", "host=" + host1 + "&x-cos-meta-a=1"}.sign(r, creds, now)
		}, 404, "NoSuchKey"},
		{"host not signed", func(r *http.Request, creds clientCredentials) {
			manualSignature{"a;b", "a=1&b=2", "x-cos-meta-a", "x-cos-meta-a=1"}.sign(r, creds, now)
		}, 403, "SignatureDoesNotMatch"},
		{"header list out of order", func(r *http.Request, creds clientCredentials) {
			manualSignature{"a;b", "a=1&b=2", "x-cos-meta-a;host", "host=" + host1 + "&x-cos-meta-a=1"}.sign(r, creds, now)
		}, 403, "SignatureDoesNotMatch"},
		{"parameter list out of order", func(r *http.Request, creds clientCredentials) {
			manualSignature{"b;a", "a=1&b=2", "host;x-cos-meta-a", "host=" + host1 + "&x-cos-meta-a=1"}.sign(r, creds, now)
		}, 403, "SignatureDoesNotMatch"},
		{"header of the list gone", func(r *http.Request, _ clientCredentials) { r.Header.Del("x-cos-meta-a") }, 403, "SignatureDoesNotMatch"},
		{"header of the list repeated", func(r *http.Request, _ clientCredentials) { r.Header.Add("x-cos-meta-a", "2") }, 403, "SignatureDoesNotMatch"},
		{"parameter of the list gone", func(r *http.Request, _ clientCredentials) { r.URL.RawQuery = "" }, 403, "SignatureDoesNotMatch"},
		{"parameter of the list repeated", func(r *http.Request, _ clientCredentials) { r.URL.RawQuery += "&a=2" }, 403, "SignatureDoesNotMatch"},
		{"semicolon is data", func(r *http.Request, _ clientCredentials) { r.URL.RawQuery += ";c=1" }, 403, "SignatureDoesNotMatch"},
		{"other host", func(r *http.Request, _ clientCredentials) { r.Host = strings.Replace(host1, bucket1, bucket2, 1) }, 403, "SignatureDoesNotMatch"},
		{"other path", func(r *http.Request, _ clientCredentials) { r.URL.Path = "/objecT" }, 403, "SignatureDoesNotMatch"},
		{"plus in the path", func(r *http.Request, creds clientCredentials) { r.URL.Path = "/a+b"; valid(r, creds) }, 403, "SignatureDoesNotMatch"},
		{"plus in the path, signed as a blank", func(r *http.Request, creds clientCredentials) {
			r.URL.Path = "/a b"
			valid(r, creds)
			r.URL.Path = "/a+b"
		}, 404, "NoSuchKey"},
		{"plus in the path, escaped", func(r *http.Request, creds clientCredentials) {
			r.URL.Path, r.URL.RawPath = "/a+b", "/a%2Bb"
			valid(r, creds)
		}, 404, "NoSuchKey"},
		{"plus in the copy source", func(r *http.Request, creds clientCredentials) {
			r.Method = http.MethodPut
			r.Header.Set("x-cos-copy-source", host1+"/a+b")
			valid(r, creds)
		}, 403, "SignatureDoesNotMatch"},
		{"plus in the copy source, escaped", func(r *http.Request, creds clientCredentials) {
			r.Method = http.MethodPut
			r.Header.Set("x-cos-copy-source", host1+"/a%2Bb")
			valid(r, creds)
		}, 404, "NoSuchKey"},
		{"path normalized", func(r *http.Request, _ clientCredentials) { r.URL.Opaque = "//" + r.Host + "//object" }, 403, "SignatureDoesNotMatch"},
		{"other method", func(r *http.Request, _ clientCredentials) { r.Method = http.MethodDelete }, 403, "SignatureDoesNotMatch"},
		{"bucket that is not", func(r *http.Request, creds clientCredentials) { r.Host = "no" + host1; valid(r, creds) }, 404, "NoSuchBucket"},
		{"region that is not", func(r *http.Request, creds clientCredentials) {
			r.Host = strings.Replace(host1, region, "ap-beijing", 1)
			valid(r, creds)
		}, 404, "NoSuchBucket"},
	}
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	creds := issue(t, srv, policyOf([]string{"*"}, []string{"*"}))
	client := httpClient(t, srv)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, creds, http.MethodGet, "/object?b=2&a=1", nil, "x-cos-meta-a: 1")
			tt.change(r, creds)
			a := do(t, client, r)
			if a.status != tt.status || a.code() != tt.code {
				t.Errorf("got %d %s, want %d %s\n%s", a.status, a.code(), tt.status, tt.code, a.body)
			}
		})
	}
}

// manualSignature holds the parts of a signature that no SDK would create.
type manualSignature struct{ paramList, params, headerList, headers string }

func (h manualSignature) sign(r *http.Request, creds clientCredentials, now time.Time) {
	window := fmt.Sprintf("%d;%d", now.Unix(), now.Unix()+60)
	format := strings.ToLower(r.Method) + "\n" + r.URL.Path + "\n" + h.params + "\n" + h.headers + "\n"
	signature := hmacHex(hmacHex(creds.secretKey, window), fmt.Sprintf("sha1\n%s\n%x\n", window, sha1.Sum([]byte(format))))
	r.Header.Set("Authorization", fmt.Sprintf("q-sign-algorithm=sha1&q-ak=%s&q-sign-time=%s&q-key-time=%s&q-header-list=%s&q-url-param-list=%s&q-signature=%s",
		creds.id, window, window, h.headerList, h.paramList, signature))
}

func hmacHex(key, text string) string {
	m := hmac.New(sha1.New, []byte(key))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func TestVerify_ExpiredAndRevoked(t *testing.T) {
	now := &clock{time.Now()}
	srv := start(t, cosemu.Options{CredentialsDuration: 3 * time.Minute}.WithClock(func() time.Time { return now.now }))
	creds := issue(t, srv, policyOf([]string{"*"}, []string{"*"}))
	c := sdk(t, srv, bucket1, creds)
	put(t, c, "a", "1")

	now.now = now.now.Add(3 * time.Minute)
	_, err := c.Object.Head(t.Context(), "a", nil)
	wantStatus(t, err, http.StatusBadRequest)
	_, err = c.Object.Get(t.Context(), "a", nil)
	wantCOS(t, err, http.StatusBadRequest, "ExpiredToken")

	creds = issue(t, srv, policyOf([]string{"*"}, []string{"*"}))
	if !srv.Revoke(creds.id) {
		t.Error("Revoke does not know credentials that STS issued")
	}
	_, err = sdk(t, srv, bucket1, creds).Object.Get(t.Context(), "a", nil)
	wantCOS(t, err, http.StatusForbidden, "InvalidAccessKeyId")
	if srv.Revoke(creds.id) {
		t.Error("Revoke knows revoked credentials")
	}
}

// TestVerify_MismatchStrings checks that SignatureDoesNotMatch contains the strings
// that COS computed.
func TestVerify_MismatchStrings(t *testing.T) {
	srv := start(t, cosemu.Options{})
	creds := longLived(srv)
	r := request(t, clientCredentials{id: creds.id, secretKey: "wrong"}, http.MethodGet, "/a%20b", nil)
	a := do(t, httpClient(t, srv), r)
	for _, want := range []string{"<StringToSign>sha1", "<FormatString>get&#xA;/a b&#xA;", "host=" + host1} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %q in\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, creds.secretKey) {
		t.Error("the response gives the secret away")
	}
}

func TestTarget_AbsoluteForm(t *testing.T) {
	srv := start(t, cosemu.Options{})
	r := request(t, longLived(srv), http.MethodPut, "/a//b", strings.NewReader("x"))
	text := fmt.Sprintf("PUT http://%s/a//b HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\nAuthorization: %s\r\n\r\nx",
		host1, host1, r.Header.Get("Authorization"))
	if a := raw(t, srv.COSAddr(), text); a.status != http.StatusOK {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	if _, ok := srv.Object(bucket1, "a//b"); !ok {
		t.Error("no object a//b")
	}
}

func wantStatus(t testing.TB, err error, status int) {
	t.Helper()
	if e, ok := cos.IsCOSError(err); !ok || e.Response.StatusCode != status {
		t.Errorf("got %v, want status %d", err, status)
	}
}
