package cosemu_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// formUpload is a hand-made POST Object form.
type formUpload struct {
	creds      clientCredentials
	fields     [][2]string // in addition to those of the signature
	conditions []any       // in addition to the mandatory ones
	expiration string
	window     string
	without    string // omitted field or mandatory condition
	policy     string // replaces the generated one
	content    string
	behind     [][2]string
	change     func(fields [][2]string) [][2]string // after signing
}

func newForm(creds clientCredentials, now time.Time) formUpload {
	return formUpload{
		creds:      creds,
		fields:     [][2]string{{"key", "dir/a"}},
		conditions: []any{[]any{"starts-with", "$key", "dir/"}},
		expiration: now.Add(time.Minute).UTC().Format("2006-01-02T15:04:05.000Z"),
		window:     fmt.Sprintf("%d;%d", now.Unix(), now.Unix()+60),
		content:    "hello",
	}
}

func (f formUpload) text(t testing.TB) string {
	t.Helper()
	if f.policy != "" {
		return f.policy
	}
	conditions := f.conditions
	for _, pair := range [][2]string{{"q-sign-algorithm", "sha1"}, {"q-ak", f.creds.id}, {"q-sign-time", f.window}} {
		if pair[0] != f.without {
			conditions = append(conditions, map[string]string{pair[0]: pair[1]})
		}
	}
	text, err := json.Marshal(map[string]any{"expiration": f.expiration, "conditions": conditions})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// body returns the form and its Content-Type.
func (f formUpload) body(t testing.TB) (body, contentType string) {
	t.Helper()
	policy := f.text(t)
	signature := hmacHex(hmacHex(f.creds.secretKey, f.window), fmt.Sprintf("%x", sha1.Sum([]byte(policy))))
	fields := slices.Concat(f.fields, [][2]string{{"policy", base64.StdEncoding.EncodeToString([]byte(policy))},
		{"q-sign-algorithm", "sha1"}, {"q-ak", f.creds.id}, {"q-key-time", f.window},
		{"q-signature", signature}, {"x-cos-security-token", f.creds.token}})
	if f.change != nil {
		fields = f.change(fields)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	write := func(fields [][2]string) {
		for _, field := range fields {
			if field[0] == f.without {
				continue
			}
			if err := w.WriteField(field[0], field[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(fields)
	part, err := w.CreateFormFile("file", "name.txt")
	if err == nil {
		_, err = io.WriteString(part, f.content)
	}
	if err != nil {
		t.Fatal(err)
	}
	write(f.behind)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

func (f formUpload) send(t testing.TB, srv *cosemu.Server) httpResponse {
	t.Helper()
	body, contentType := f.body(t)
	r, err := http.NewRequest(http.MethodPost, "http://"+host1+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	return do(t, httpClient(t, srv), r)
}

// TestForm_DocumentExample has the shape of the worked example in the document "POST
// Object", with other credentials and another window.
func TestForm_DocumentExample(t *testing.T) {
	now := time.Now()
	srv := start(t, cosemu.Options{StrictSignature: true}.WithClock(func() time.Time { return now }))
	f := newForm(longLived(srv), now)
	f.fields = [][2]string{
		{"key", "folder/subfolder/${filename}"}, {"acl", "default"}, {"Content-Type", "image/jpeg"},
		{"success_action_redirect", "https://my.website/index.html?a=1"}, {"x-cos-server-side-encryption", "AES256"},
	}
	f.conditions = []any{
		map[string]string{"acl": "default"},
		map[string]string{"bucket": bucket1},
		[]string{"starts-with", "$key", "folder/subfolder/"},
		[]string{"starts-with", "$Content-Type", "image/"},
		[]string{"starts-with", "$success_action_redirect", "https://my.website/"},
		[]string{"eq", "$x-cos-server-side-encryption", "AES256"},
	}
	a := f.send(t, srv)
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	o, ok := srv.Object(bucket1, "folder/subfolder/name.txt")
	if !ok {
		t.Fatal("no object")
	}
	if want := "https://my.website/index.html?a=1&bucket=" + bucket1 + "&etag=%22" + strings.Trim(o.ETag, `"`) + "%22&key=folder%2Fsubfolder%2Fname.txt"; a.header.Get("Location") != want {
		t.Errorf("Location %s, want %s", a.header.Get("Location"), want)
	}
	if o.Header.Get("Content-Type") != "image/jpeg" || storedHeader(o, "x-cos-acl") != "default" || o.Size != 5 {
		t.Errorf("object %+v", o)
	}
}

// storedHeader returns a lower-case metadata field of an object.
func storedHeader(o cosemu.Object, name string) string { return strings.Join(o.Header[name], ",") }

func TestForm_Responses(t *testing.T) {
	srv := start(t, cosemu.Options{})
	for wish, want := range map[string]int{"": 204, "200": 200, "201": 201, "204": 204, "418": 204} {
		f := newForm(longLived(srv), time.Now())
		f.fields = append(f.fields, [2]string{"success_action_status", wish}, [2]string{"x-cos-meta-a", "1"})
		a := f.send(t, srv)
		if a.status != want || a.header["Etag"][0] == "" || a.header.Get("x-cos-hash-crc64ecma") == "" {
			t.Errorf("success_action_status %q: %+v", wish, a)
		}
		if posted := strings.Contains(a.body, "<PostResponse><Location>http://"+host1+"/dir/a</Location><Bucket>"+bucket1+"</Bucket><Key>dir/a</Key>"); posted != (want == 201) {
			t.Errorf("success_action_status %q: body %s", wish, a.body)
		}
		o, _ := srv.Object(bucket1, "dir/a")
		if storedHeader(o, "x-cos-meta-a") != "1" || o.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("metadata %v", o.Header)
		}
	}
}

func TestForm_Errors(t *testing.T) {
	now := time.Now()
	set := func(name, value string) func([][2]string) [][2]string {
		return func(fields [][2]string) [][2]string {
			for i := range fields {
				if fields[i][0] == name {
					fields[i][1] = value
				}
			}
			return fields
		}
	}
	conditions := func(c ...any) func(*formUpload) { return func(f *formUpload) { f.conditions = c } }
	tests := []struct {
		name    string
		change  func(f *formUpload)
		status  int
		code    string
		message string
	}{
		{"nothing wrong", func(*formUpload) {}, 204, "", ""},
		{"file within its range", conditions([]any{"content-length-range", 5, 5}), 204, "", ""},
		{"fields behind the file", func(f *formUpload) { f.behind = [][2]string{{"acl", "public-read"}} }, 204, "", ""},
		{"no policy", func(f *formUpload) { f.without = "policy" }, 403, "AccessDenied", ""},
		{"no signature", func(f *formUpload) { f.without = "q-signature" }, 403, "AccessDenied", ""},
		{"no algorithm", func(f *formUpload) { f.change = set("q-sign-algorithm", "md5") }, 403, "AccessDenied", "sha1"},
		{"unknown key", func(f *formUpload) { f.creds.id += "x" }, 403, "InvalidAccessKeyId", ""},
		{"wrong secret", func(f *formUpload) { f.creds.secretKey += "x" }, 403, "SignatureDoesNotMatch", "The Signature you specified is invalid."},
		{"wrong token", func(f *formUpload) { f.creds.token += "x" }, 403, "AccessDenied", "token"},
		{"no token", func(f *formUpload) { f.without = "x-cos-security-token" }, 403, "AccessDenied", "token"},
		{"policy changed", func(f *formUpload) { f.change = set("policy", base64.StdEncoding.EncodeToString([]byte("{}"))) }, 403, "SignatureDoesNotMatch", ""},
		{"policy not base64", func(f *formUpload) { f.change = set("policy", "?") }, 400, "InvalidPolicyDocument", ""},
		{"policy not JSON", func(f *formUpload) { f.policy = "{" }, 400, "InvalidPolicyDocument", ""},
		{"policy without conditions", func(f *formUpload) { f.policy = `{"expiration":"2100-01-01T00:00:00.000Z"}` }, 400, "InvalidPolicyDocument", ""},
		{"policy without an end", func(f *formUpload) { f.policy = `{"conditions":[]}` }, 400, "InvalidPolicyDocument", ""},
		{"unknown operator", conditions([]string{"ends-with", "$key", "a"}), 400, "InvalidPolicyDocument", ""},
		{"half a condition", conditions([]string{"eq", "$key"}), 400, "InvalidPolicyDocument", ""},
		{"no dollar", conditions([]string{"eq", "key", "dir/a"}), 400, "InvalidPolicyDocument", ""},
		{"policy over", func(f *formUpload) { f.expiration = now.UTC().Format("2006-01-02T15:04:05.000Z") }, 403, "AccessDenied", "You post object request has been expired"},
		{"window over", func(f *formUpload) { f.window = fmt.Sprintf("%d;%d", now.Unix()-60, now.Unix()) }, 403, "AccessDenied", "Request has expired"},
		{"window far ahead", func(f *formUpload) { f.window = fmt.Sprintf("%d;%d", now.Unix()+1000, now.Unix()+2000) }, 403, "RequestTimeTooSkewed", ""},
		{"another window in the policy", func(f *formUpload) {
			f.without = "q-sign-time"
			f.conditions = []any{map[string]string{"q-sign-time": "1;2"}}
		}, 403, "AccessDenied", "Condition key q-sign-time doesn't match"},
		{"no condition on the window", func(f *formUpload) { f.without = "q-sign-time" }, 403, "AccessDenied", "no condition for q-sign-time"},
		{"another key in the policy", conditions(map[string]string{"q-ak": "other"}), 403, "AccessDenied", "Condition key q-ak doesn't match"},
		{"another bucket", conditions(map[string]string{"bucket": bucket2}), 403, "AccessDenied", "Condition key bucket"},
		{"not equal", conditions([]string{"eq", "$key", "dir/"}), 403, "AccessDenied", "Condition key key"},
		{"not the beginning", conditions([]string{"starts-with", "$key", "b"}), 403, "AccessDenied", "Condition key key"},
		{"field of a condition missing", conditions([]string{"starts-with", "$acl", ""}), 403, "AccessDenied", "Condition key acl"},
		{"changed once signed", func(f *formUpload) { f.change = set("key", "other") }, 403, "AccessDenied", "Condition key key"},
		{"file too short", conditions([]any{"content-length-range", 6, 10}), 400, "EntityTooSmall", ""},
		{"file too long", conditions([]any{"content-length-range", 0, 4}), 400, "EntityTooLarge", ""},
		{"beyond the CAM policy", func(f *formUpload) { f.fields[0][1], f.conditions = "down/a", nil }, 403, "AccessDenied", "Access Denied."},
		{"a field twice", func(f *formUpload) { f.fields = append(f.fields, f.fields[0]) }, 400, "InvalidArgument", ""},
		{"no key", func(f *formUpload) { f.fields, f.conditions = nil, nil }, 400, "InvalidArgument", ""},
		{"long key", func(f *formUpload) { f.fields[0][1] = "dir/" + strings.Repeat("k", 850) }, 400, "KeyTooLong", ""},
		{"wrong digest", func(f *formUpload) { f.fields = append(f.fields, [2]string{"Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="}) }, 400, "BadDigest", ""},
		{"large fields", func(f *formUpload) { f.fields = append(f.fields, [2]string{"x", strings.Repeat("x", 1<<20)}) }, 400, "MaxPostPreDataLengthExceeded", ""},
		{"not there", func(f *formUpload) { f.fields = append(f.fields, [2]string{"x-cos-forbid-overwrite", "true"}) }, 501, "NotImplemented", ""},
	}
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	creds := issue(t, srv, policyOf([]string{"name/cos:PostObject"}, []string{resource(bucket1 + "/dir/*")}))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newForm(creds, now)
			tt.change(&f)
			a := f.send(t, srv)
			if a.status != tt.status || a.code() != tt.code || !strings.Contains(a.body, strings.ReplaceAll(tt.message, "'", "&#39;")) {
				t.Errorf("got %d %s, want %d %s %s\n%s", a.status, a.code(), tt.status, tt.code, tt.message, a.body)
			}
			_, stored := srv.Object(bucket1, "dir/a")
			if stored != (tt.status == 204) {
				t.Errorf("stored: %t", stored)
			}
			if last := srv.Requests()[len(srv.Requests())-1]; last.Action != "PostObject" || last.Status != tt.status {
				t.Errorf("on record: %+v", last)
			}
			if err := sdkDelete(t, srv); err != nil {
				t.Error(err)
			}
		})
	}
}

func sdkDelete(t *testing.T, srv *cosemu.Server) error {
	t.Helper()
	_, err := sdk(t, srv, bucket1, longLived(srv)).Object.Delete(t.Context(), "dir/a")
	return err
}

func TestForm_ExpiredCredentials(t *testing.T) {
	now := &clock{time.Now()}
	srv := start(t, cosemu.Options{CredentialsDuration: time.Minute}.WithClock(func() time.Time { return now.now }))
	creds := issue(t, srv, policyOf([]string{"*"}, []string{"*"}))
	now.now = now.now.Add(time.Minute)
	if a := newForm(creds, now.now).send(t, srv); a.status != http.StatusBadRequest || a.code() != "ExpiredToken" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestForm_Malformed checks that malformed and truncated forms store nothing.
func TestForm_Malformed(t *testing.T) {
	srv := start(t, cosemu.Options{})
	f := newForm(longLived(srv), time.Now())
	f.content = strings.Repeat("x", 100_000)
	body, contentType := f.body(t)
	send := func(length int, contentType, body string) (httpResponse, error) {
		return tryRaw(srv.COSAddr(), fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", host1, contentType, length, body))
	}
	for name, tt := range map[string]struct {
		contentType, body string
		code              string
	}{
		"no form":     {"text/plain", body, "MalformedPOSTRequest"},
		"no boundary": {"multipart/form-data", body, "MalformedPOSTRequest"},
		"no file":     {contentType, strings.Replace(body, `name="file"`, `name="other"`, 1), "MalformedPOSTRequest"},
		"no end":      {contentType, body[:len(body)-100], "IncompleteBody"},
		"nothing":     {contentType, "", "MalformedPOSTRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			if a, err := send(len(tt.body), tt.contentType, tt.body); err != nil || a.status != http.StatusBadRequest || a.code() != tt.code {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	t.Run("chunked", func(t *testing.T) {
		a := raw(t, srv.COSAddr(), "POST / HTTP/1.1\r\nHost: "+host1+"\r\nTransfer-Encoding: chunked\r\nContent-Type: "+contentType+"\r\n\r\n0\r\n\r\n")
		if a.status != http.StatusLengthRequired || a.code() != "MissingContentLength" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("breaks off", func(t *testing.T) {
		for _, missing := range []int{1, 10, 1000, 99_000} {
			sendTruncated(t, srv.COSAddr(), fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", host1, contentType, len(body), body[:len(body)-missing]))
		}
	})
	if _, ok := srv.Object(bucket1, "dir/a"); ok {
		t.Error("something was stored")
	}
	if a, err := send(len(body), contentType, body); err != nil || a.status != http.StatusNoContent {
		t.Errorf("the whole form: %+v, %v", a, err)
	}
}

// sendTruncated sends a part of a request and waits until the server has handled it.
func sendTruncated(t *testing.T, addr, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if reply, _ := io.ReadAll(conn); !strings.Contains(string(reply), "<Code>IncompleteBody</Code>") {
		t.Errorf("got %q", reply)
	}
}
