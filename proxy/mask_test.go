package proxy_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"cosproxy/proxy"
	"cosproxy/signer"
)

// nastyToken has every kind of character that an encoder may escape.
const nastyToken = `tok-en_sentinel/+=%25&<>"'\u.~1`

// escapes are the encodings of each character, including the literal one.
var escapes = map[string]func(c byte) string{
	"raw":                func(c byte) string { return string(c) },
	"percent-encoded":    func(c byte) string { return strings.ReplaceAll(url.QueryEscape(string(c)), "+", "%20") },
	"all percent":        func(c byte) string { return fmt.Sprintf("%%%02X", c) },
	"lower-case percent": func(c byte) string { return fmt.Sprintf("%%%02x", c) },
	"percent twice":      func(c byte) string { return fmt.Sprintf("%%25%02X", c) },
	"XML": func(c byte) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(string(c))
	},
	"XML of Go": func(c byte) string {
		return strings.NewReplacer("&", "&amp;", `"`, "&#34;", "'", "&#39;").Replace(string(c))
	},
	"decimal":         func(c byte) string { return fmt.Sprintf("&#%d;", c) },
	"hexadecimal":     func(c byte) string { return fmt.Sprintf("&#x%X;", c) },
	"hexadecimal low": func(c byte) string { return fmt.Sprintf("&#x%04x;", c) },
	"JSON":            func(c byte) string { return strings.NewReplacer("/", `\/`, `"`, `\"`, `\`, `\\`).Replace(string(c)) },
	"hex":             func(c byte) string { return fmt.Sprintf("%02x", c) },
	"JSON of Go":      func(c byte) string { return fmt.Sprintf(`\u%04x`, c) },
}

func escapedWith(escape func(byte) string, text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteString(escape(text[i]))
	}
	return b.String()
}

// Each byte of an encoded secret becomes *, for any split into reads.
func TestMaskedBody_EveryEncoding(t *testing.T) {
	for name, escape := range escapes {
		t.Run(name, func(t *testing.T) {
			secret := escapedWith(escape, nastyToken)
			text := "token=" + secret + "&q=tok-en" + secret + secret + "tok-en_sent%2"
			stars := strings.Repeat("*", len(secret))
			want := "token=" + stars + "&q=tok-en" + stars + stars + "tok-en_sent%2"
			for reader, body := range map[string]io.Reader{
				"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
				"end with the data": iotest.DataErrReader(strings.NewReader(text)),
			} {
				got, err := io.ReadAll(proxy.MaskedBody(body, "other-secret", nastyToken))
				if err != nil || string(got) != want {
					t.Errorf("%s: %v\n got %s\nwant %s", reader, err, got, want)
				}
			}
		})
	}
}

func TestMaskedBody_OtherBytesUnchanged(t *testing.T) {
	for _, text := range []string{
		"", "&", "%", `\`, "&amp", "&#", "%2", "%25", `\u00`, "tok", "token-sentinel-", "a&b;c%20d\\e", "\x00\xff&&&&%%%%",
		strings.Repeat("&amp;token-%25sentinel", 5000),
	} {
		got, err := io.ReadAll(proxy.MaskedBody(iotest.HalfReader(strings.NewReader(text)), "token-sentinel-1"))
		if err != nil || string(got) != text {
			t.Errorf("%.40q became %.40q (%v)", text, got, err)
		}
	}
}

// Bytes that cannot be part of a secret are returned at once: COS may send the rest
// much later.
func TestMaskedBody_DoesNotWait(t *testing.T) {
	r, w := io.Pipe()
	defer func() { _ = r.Close() }()
	body := proxy.MaskedBody(r, "token-sentinel-1")
	go func() {
		_, _ = io.WriteString(w, "<Error>tok")
		_, _ = io.WriteString(w, "en-sentinel-1.")
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	buf := make([]byte, 100)
	if n, err := body.Read(buf); string(buf[:n]) != "<Error>" || err != nil {
		t.Errorf("first %q, %v", buf[:n], err)
	}
	rest, err := io.ReadAll(body)
	if string(rest) != "****************." || err != io.ErrUnexpectedEOF { //nolint:errorlint // as it was
		t.Errorf("then %q, %v", rest, err)
	}
}

func FuzzMaskedBody(f *testing.F) {
	for _, escape := range escapes {
		f.Add("a"+escapedWith(escape, "t-%/1")+"b", "t-%/1", 3)
	}
	f.Fuzz(func(t *testing.T, text, secret string, piece int) {
		if secret == "" || len(secret) > 50 || piece <= 0 {
			return
		}
		whole, err := io.ReadAll(proxy.MaskedBody(strings.NewReader(text), secret))
		if err != nil || len(whole) != len(text) {
			t.Fatalf("%d bytes became %d (%v)", len(text), len(whole), err)
		}
		for i := range whole {
			if whole[i] != text[i] && whole[i] != '*' {
				t.Fatalf("%q became %q", text, whole)
			}
		}
		if bytes.Contains(whole, []byte(secret)) && strings.Trim(secret, "*") != "" {
			t.Errorf("%q is still in %q", secret, whole)
		}
	})
}

// mismatchOf is the SignatureDoesNotMatch of COS for a request, with its status line.
func mismatchOf(a *arrival, c signer.Credentials, contentType string) string {
	_, signature, _ := strings.Cut(a.wire().Get("Authorization"), "q-signature=")
	body := "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>SignatureDoesNotMatch</Code>\n\t<Message>" + signature + "</Message>\n" +
		"\t<StringToSign>sha1\n1;2\nhash\n</StringToSign>\n" +
		"\t<FormatString>get\n/key\n\nhost=h&amp;x-cos-security-token=" + url.QueryEscape(c.Token) + "\n</FormatString>\n" +
		"\t<Token>" + c.Token + "</Token>\n\t<RequestId>id</RequestId>\n</Error>\n"
	return "HTTP/1.1 403 Forbidden\r\nx-cos-request-id: id\r\nX-Echo: " + c.Token + "\r\nContent-Type: " + contentType +
		"\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body
}

func hidesSecrets(t *testing.T, rep reply, a *arrival, c signer.Credentials) {
	t.Helper()
	_, signature, _ := strings.Cut(a.wire().Get("Authorization"), "q-signature=")
	for _, secret := range []string{c.Token, signature} {
		if secret != "" && strings.Contains(rep.head+rep.body, secret) {
			t.Errorf("the client learns %s:\n%s%s", secret, rep.head, rep.body)
		}
	}
}

// COS echoes the token in its response to a forged preflight, which needs no client
// token.
func TestMask_TokenAndSignature(t *testing.T) {
	k := newCredentials(1)
	for _, contentType := range []string{"application/xml", "text/html", "application/json"} {
		for _, method := range []string{"GET", "DELETE", "OPTIONS"} {
			t.Run(method+" "+contentType, func(t *testing.T) {
				r := start(t, setup{creds: k, options: func(o *proxy.Options) {
					o.AllowedOrigins = []string{"https://app.example"}
					o.ClientToken = func() (string, error) { return "client-token", nil }
				}, handle: func(a *arrival) { a.respond(mismatchOf(a, k.list[0], contentType)) }})
				preflight := "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n"
				if method != http.MethodOptions {
					preflight = "Authorization: Bearer client-token\r\n"
				}
				rep := r.exchange(t, method+" /key?&&a=1& HTTP/1.1\r\n"+preflight+"\r\n")
				if rep.status != http.StatusForbidden || rep.err != nil {
					t.Fatalf("status %d, %v", rep.status, rep.err)
				}
				a := r.upstream.only(t)
				hidesSecrets(t, rep, a, k.list[0])
				_, want, _ := strings.Cut(mismatchOf(a, k.list[0], contentType), "\r\n\r\n")
				_, signature, _ := strings.Cut(a.wire().Get("Authorization"), "q-signature=")
				for _, secret := range []string{k.list[0].Token, signature} {
					want = strings.ReplaceAll(want, secret, strings.Repeat("*", len(secret)))
				}
				if rep.body != want {
					t.Errorf("more than the secrets has changed:\n%s\nwant\n%s", rep.body, want)
				}
				if rep.header.Get("Content-Type") != contentType || rep.header.Get("X-Echo") != strings.Repeat("*", len(k.list[0].Token)) {
					t.Errorf("header:\n%s", rep.head)
				}
			})
		}
	}
}

// The signature of a form is in its body.
func TestMask_FormSignature(t *testing.T) {
	k := newCredentials(1)
	var signature string
	r := start(t, setup{creds: k, handle: func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		_, rest, _ := bytes.Cut(a.body, []byte("\"q-signature\"\r\n\r\n"))
		value, _, _ := bytes.Cut(rest, []byte("\r\n"))
		signature = string(value)
		body := "<Error><Code>SignatureDoesNotMatch</Code>" + signature + k.list[0].Token + "</Error>"
		a.respond("HTTP/1.1 403 Forbidden\r\nx-cos-request-id: id\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body)
	}})
	form := "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nkey\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ndata\r\n--b--\r\n"
	rep := r.exchange(t, fmt.Sprintf("POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s", len(form), form))
	if rep.status != http.StatusForbidden || len(signature) != 40 {
		t.Fatalf("status %d, signature %q\n%s", rep.status, signature, rep.body)
	}
	if want := strings.Repeat("*", 40+len(k.list[0].Token)); !strings.Contains(rep.body, want) {
		t.Errorf("the client gets %s", rep.body)
	}
}

// A client that accepts gzip must not get an unmasked body.
func TestMask_EncodedBody(t *testing.T) {
	k := newCredentials(1)
	for coding, readable := range map[string]bool{"gzip": true, "X-GZIP": true, "identity": true, "br": false, "gzip, gzip": false} {
		t.Run(coding, func(t *testing.T) {
			r := start(t, setup{creds: k, handle: func(a *arrival) {
				_, body, _ := strings.Cut(mismatchOf(a, k.list[0], ""), "\r\n\r\n")
				if coding != "identity" && readable {
					var packed bytes.Buffer
					w := gzip.NewWriter(&packed)
					_, _ = io.WriteString(w, body)
					_ = w.Close()
					body = packed.String()
				}
				a.respond("HTTP/1.1 403 Forbidden\r\nx-cos-request-id: id\r\nContent-Encoding: " + coding +
					"\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body)
			}})
			rep := r.exchange(t, "GET /key HTTP/1.1\r\nAccept-Encoding: gzip, br\r\n\r\n")
			if rep.status != http.StatusForbidden || rep.err != nil {
				t.Fatalf("status %d, %v", rep.status, rep.err)
			}
			hidesSecrets(t, rep, r.upstream.only(t), k.list[0])
			if got := strings.Contains(rep.body, "</Error>"); got != readable {
				t.Errorf("the document arrives: %v\n%s", got, rep.body)
			}
		})
	}
}

func TestQuery_NamelessParameterRejected(t *testing.T) {
	r := start(t, setup{})
	for _, raw := range []string{"=", "=x", "a=1&=x", "=x&a", "&=&", "==", "a&=;"} {
		doc := r.refused(t, r.get(t, "/key?"+raw), http.StatusBadRequest, "InvalidURI")
		if !strings.Contains(doc.Message, "without a name") {
			t.Errorf("%s: %s", raw, doc.Message)
		}
	}
}

// Redirects can echo a request, and so can the error after a 200 that COS sends before
// it knows the result. Objects are unchanged.
func TestMask_RedirectsAndLateErrors(t *testing.T) {
	k := newCredentials(1)
	token := k.list[0].Token
	hidden := strings.Repeat("*", len(token))
	for _, tt := range []struct {
		name, request, status, contentType string
		masked                             bool
	}{
		{"redirect", "GET /key", "307 Temporary Redirect", "application/xml", true},
		{"Complete", "POST /key?uploadId=u", "200 OK", "application/xml", true},
		{"upload", "PUT /key", "200 OK", "text/xml", true},
		{"upload, another spelling", "PUT /key", "200 OK", "Application/XML; charset=utf-8", true},
		{"object", "GET /key", "200 OK", "application/xml", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := "<Error><StringToSign>" + token + "</StringToSign></Error>"
			r := start(t, setup{creds: k, handle: raw(fmt.Sprintf("HTTP/1.1 %s\r\nx-cos-request-id: id\r\nContent-Type: %s\r\nLocation: http://a/?t=%s\r\nContent-Length: %d\r\n\r\n%s",
				tt.status, tt.contentType, token, len(body), body))})
			rep := r.exchange(t, tt.request+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
			if got := strings.Contains(rep.head+rep.body, token); got == tt.masked {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if tt.masked && strings.Count(rep.head+rep.body, hidden) != 2 {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
		})
	}
}

// The reason phrase of an error is masked too.
func TestMask_Reason(t *testing.T) {
	k := newCredentials(1)
	token := k.list[0].Token
	r := start(t, setup{creds: k, handle: raw("HTTP/1.1 403 Refused " + token + "\r\nx-cos-request-id: id\r\nContent-Length: 0\r\n\r\n")})
	rep := r.get(t, "/key")
	if strings.Contains(rep.head, token) || !strings.HasPrefix(rep.head, "HTTP/1.1 403 Refused "+strings.Repeat("*", len(token))+"\r\n") {
		t.Errorf("got\n%s", rep.head)
	}
}

// S3 shows the bytes of a request in hex, separated by blanks.
func TestMaskedBody_SpacedHex(t *testing.T) {
	text, stars := "41 "+spacedHex("token-sentinel-1")+" 0A 74 6f", strings.Repeat("*", len(spacedHex("token-sentinel-1")))
	for _, text := range []string{text, strings.ToUpper(text)} {
		got, err := io.ReadAll(proxy.MaskedBody(iotest.OneByteReader(strings.NewReader(text)), "token-sentinel-1"))
		if want := text[:3] + stars + text[len(text)-9:]; err != nil || string(got) != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
